"""The public sets: where each is, what is in it, and which of its splits are for measuring only.

data/public_sets.toml lists them; the files are the user's own, under the folder that `$FANKUI_DATA` or `--data` names.
"""

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import DataError
from pipeline.resources import shipped

Kind = Literal["feedback", "general"]
DEV = Path("triage", "dev.jsonl")
_BATCH_ROWS = 8192


@dataclass(frozen=True, slots=True)
class PublicSet:
    """One set: the parquet files `datasets/NAME/SPLIT.parquet` for each split."""

    name: str
    kind: Kind
    text: tuple[str, ...]
    evaluation: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("text",)
    share: float = 1.0


def public_sets(file: Path | None = None) -> tuple[PublicSet, ...]:
    """The sets of data/public_sets.toml, or of another file of its form, in order."""
    body = tomllib.loads((file or shipped("data", "public_sets.toml")).read_text(encoding="utf-8"))
    return tuple(
        PublicSet(
            name=name,
            kind=entry["kind"],
            text=tuple(entry["text"]),
            evaluation=tuple(entry.get("evaluation", ())),
            columns=tuple(entry.get("columns", ("text",))),
            share=float(entry.get("share", 1.0)),
        )
        for name, entry in body.items()
    )


def present_sets(data: Path, sets: tuple[PublicSet, ...]) -> tuple[PublicSet, ...]:
    """Those whose folder is there: nobody needs all of them."""
    return tuple(one for one in sets if (data / "datasets" / one.name).is_dir())


def texts_of(data: Path, one: PublicSet, split: str) -> Iterator[str]:
    """Raw texts of a split, row by row and column by column; missing values are left out.

    Raises DataError `file_missing` or `column_missing`.
    """
    for row in rows_of(data, one.name, split, one.columns):
        yield from (value for value in row if isinstance(value, str))


def rows_of(data: Path, name: str, split: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values of these columns, row by row. Raises DataError `file_missing` or `column_missing`."""
    import pyarrow.parquet as pq

    path = data / "datasets" / name / f"{split}.parquet"
    if not path.is_file():
        raise DataError("file_missing", f"expected {path}; found no such file")
    with pq.ParquetFile(path) as file:
        absent = [column for column in columns if column not in file.schema_arrow.names]
        if absent:
            raise DataError("column_missing", f"{path}: expected the column {absent[0]}")
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
            yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)


def evaluation_texts(data: Path, sets: tuple[PublicSet, ...] | None = None) -> Iterator[str]:
    """Every raw text that nothing may be trained on: triage/dev.jsonl and the evaluation splits."""
    dev = data / DEV
    if dev.is_file():
        with dev.open(encoding="utf-8") as lines:
            yield from (json.loads(line)["text"] for line in lines if line.strip())
    for one in present_sets(data, public_sets() if sets is None else sets):
        for split in one.evaluation:
            yield from texts_of(data, one, split)
