"""The public sets: where each is, what is in it, and which of its splits are for measuring only.

data/public_sets.toml lists them, `--sets FILE.toml` others; the files are the user's own, under the folder that
`$FANKUI_DATA` or `--data` names.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.annotation_texts import cell_texts, row_texts
from pipeline.config_file import read_config_file, unknown_key
from pipeline.duplicates import text_key
from pipeline.errors import ConfigError, DataError
from pipeline.resources import shipped
from training.leakage import ANCHOR

Kind = Literal["feedback", "general"]
DEV = Path("triage", "dev.jsonl")
_BATCH_ROWS = 8192
_KEYS = {"kind", "text", "evaluation", "columns", "share", "about"}


@dataclass(frozen=True, slots=True)
class PublicSet:
    """One set: the parquet files `datasets/NAME/SPLIT.parquet` for each split."""

    name: str
    kind: Kind
    text: tuple[str, ...]
    evaluation: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("text",)
    share: float = 1.0
    about: str = ""  # what an encoder that has read it is to say of it


@dataclass(frozen=True, slots=True)
class Found:
    """A raw text, and the forms under which it may have been labelled (pipeline/annotation_texts.py)."""

    text: str
    forms: tuple[str, ...]


def public_sets(file: Path | None = None) -> tuple[PublicSet, ...]:
    """The sets of data/public_sets.toml, or of another file of its form, in order.

    Raises ConfigError `sets_missing`, `sets_unreadable`, `sets_invalid`.
    """
    path = file or shipped("data", "public_sets.toml")
    body = read_config_file(path, name="sets", code="sets", advice="give --sets FILE.toml")
    return tuple(_set(path, name, entry) for name, entry in body.items())


def present_sets(data: Path, sets: tuple[PublicSet, ...]) -> tuple[PublicSet, ...]:
    """Those whose folder is there: nobody needs all of them."""
    return tuple(one for one in sets if (data / "datasets" / one.name).is_dir())


def unlisted(data: Path, sets: Sequence[PublicSet]) -> tuple[str, ...]:
    """Folders with parquet files under datasets/ that no table names."""
    known = {one.name for one in sets}
    there = sorted({path.parent.name for path in (data / "datasets").glob("*/*.parquet")})
    return tuple(name for name in there if name not in known)


def texts_of(data: Path, one: PublicSet, split: str) -> Iterator[str]:
    """Raw texts of a split, row by row and column by column; missing values are left out.

    Raises DataError `file_missing` or `column_missing`.
    """
    yield from (found.text for found in found_in(data, one, split))


def found_in(data: Path, one: PublicSet, split: str) -> Iterator[Found]:
    """The same with the forms under which they may have been labelled."""
    for row in rows_of(data, one.name, split, one.columns):
        whole = tuple(row_texts(one.name, dict(zip(one.columns, row, strict=True))))
        for value in row:
            if isinstance(value, str):
                yield Found(value, (*forms_of(one.name, value), *whole))


def forms_of(dataset: str, cell: str) -> Iterator[str]:
    """The forms of one cell: the cell, and of a dialogue those turns that are long enough to occur only once."""
    for form in cell_texts(dataset, cell):
        if form is cell or len(text_key(form)) >= ANCHOR:
            yield form


def rows_of(data: Path, name: str, split: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values of these columns, row by row. Raises DataError `file_missing` or `column_missing`."""
    import pyarrow.parquet as pq

    path = split_file(data, name, split)
    if not path.is_file():
        raise DataError("file_missing", f"expected {path}; found no such file")
    with pq.ParquetFile(path) as file:
        absent = [column for column in columns if column not in file.schema_arrow.names]
        if absent:
            raise DataError("column_missing", f"{path}: expected the column {absent[0]}")
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
            yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)


def split_file(data: Path, name: str, split: str) -> Path:
    """Where a split of a set is."""
    return data / "datasets" / name / f"{split}.parquet"


def measured_splits(data: Path, sets: Sequence[PublicSet] = ()) -> tuple[tuple[PublicSet, str], ...]:
    """The evaluation splits that are there: of the shipped table, and of another one, which hides none of those."""
    tables = (public_sets(), tuple(sets))
    named = [(one, split) for table in tables for one in present_sets(data, table) for split in one.evaluation]
    return tuple(dict.fromkeys(named))


def evaluation_texts(data: Path, sets: Sequence[PublicSet] = ()) -> Iterator[str]:
    """Every raw text that nothing may be trained on: triage/dev.jsonl and the evaluation splits."""
    dev = data / DEV
    if dev.is_file():
        with dev.open(encoding="utf-8") as lines:
            yield from (json.loads(line)["text"] for line in lines if line.strip())
    for one, split in measured_splits(data, sets):
        yield from texts_of(data, one, split)


def _set(path: Path, name: str, entry: Any) -> PublicSet:
    mistake = _mistake(entry)
    if mistake:
        raise ConfigError("sets_invalid", f"{path}, [{name}]: {mistake}")
    return PublicSet(
        name=name,
        kind=entry["kind"],
        text=tuple(entry["text"]),
        evaluation=tuple(entry.get("evaluation", ())),
        columns=tuple(entry.get("columns", ("text",))),
        share=float(entry.get("share", 1.0)),
        about=entry.get("about", ""),
    )


def _mistake(entry: Any) -> str | None:
    """What is wrong with the table of a set, or None."""
    if not isinstance(entry, dict):
        return f"expected a table with kind and text; found {entry!r}"
    if entry.get("kind") not in get_args(Kind):
        return f"kind is one of {', '.join(get_args(Kind))}; found {entry.get('kind')!r}"
    for key in ("text", "columns", "evaluation"):
        value = entry.get(key, ["text"] if key == "columns" else [])
        named = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not named or not (value or key == "evaluation"):
            return f"{key} is a list of names; found {value!r}"
    share = entry.get("share", 1.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        return f"share is over 0 and at most 1; found {share!r}"
    if not isinstance(entry.get("about", ""), str):
        return f"about is a sentence; found {entry['about']!r}"
    return unknown_key(entry, _KEYS, "the set")
