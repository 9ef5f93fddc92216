"""Rows of a folder that Hugging Face `datasets` saved with `save_to_disk`; class labels come as their names.

The rows stay in memory-mapped Arrow files, so a folder of any size is read in little memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.rows import ReadLimits, Row, limit_exceeded, unreadable

_BATCH = 256


def is_dataset(path: Path) -> bool:
    """Whether `save_to_disk` made this folder, of one split or of several."""
    return any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))


class DatasetSource:
    """One saved split."""

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self._path = path
        if (path / "dataset_dict.json").is_file():
            splits = ", ".join(sorted(part.name for part in path.iterdir() if part.is_dir()))
            raise unreadable(path, f"it holds several splits; name one of its folders: {splits}")
        self._data = _load(path)
        if len(self._data) > limits.max_rows:
            raise limit_exceeded(path, f"{len(self._data):,} rows", "split it")

    def columns(self) -> list[str]:
        return list(self._data.column_names)

    def count(self) -> int | None:
        return len(self._data)

    def rows(self) -> Iterator[Row]:
        names = {column: feature.int2str for column, feature in self._data.features.items() if _is_label(feature)}
        for batch in self._data.iter(batch_size=_BATCH):
            for cells in zip(*batch.values(), strict=True):
                row = dict(zip(batch, cells, strict=True))
                yield row | {column: named(row[column]) for column, named in names.items() if _labelled(row[column])}


def _is_label(feature: Any) -> bool:
    return type(feature).__name__ == "ClassLabel"


def _labelled(value: Any) -> bool:
    # datasets writes -1 where a class label is missing.
    return isinstance(value, int) and value >= 0


def _load(path: Path) -> Any:
    try:
        from datasets import load_from_disk
    except ModuleNotFoundError:
        message = (
            f'{path} is a folder of Hugging Face datasets; reading it needs: pip install ".[train]" in the checkout'
        )
        raise ConfigError("extra_missing", message) from None
    try:
        return load_from_disk(str(path)).with_format(None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, f"it is no complete folder of Hugging Face datasets ({type(error).__name__})") from None
