"""Rows of csv, tsv, jsonl, parquet and xlsx files and of saved Hugging Face datasets, in bounded batches.

One bad row never stops a file. Memory stays bounded whatever a file claims: 130 KB of parquet hold up to 1.2 GB.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from pipeline.errors import DataError
from pipeline.rows import BAD_ROW, ReadLimits, Row, RowBatch, batches, unreadable

__all__ = ["BAD_ROW", "FORMATS", "ReadLimits", "RowBatch", "column_names", "count_rows", "file_format", "read_batches"]

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
"""Known extensions, lower-case -> format."""

_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive (an xlsx?)", "xlsx"),
    (b"PAR1", "a parquet file", "parquet"),
    (b"\x1f\x8b", "gzip-compressed", ""),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", ""),
    (b"%PDF", "a PDF", ""),
)


class _Source(Protocol):
    """One file of one format."""

    def columns(self) -> list[str]: ...
    def rows(self) -> Iterable[Row]: ...
    def count(self) -> int | None: ...


def read_batches(path: Path, *, limits: ReadLimits | None = None) -> Iterator[RowBatch]:
    """Yield a file's rows in order. Rows that cannot be read come as `{BAD_ROW: message, …}`.

    Raises DataError `file_missing`, `format_unknown`, `unreadable`, `undecodable` or `limit_exceeded`.
    """
    limits = limits or ReadLimits()
    source = _open(path, limits)
    yield from batches(source.rows(), path=path, limits=limits)


def column_names(path: Path, *, limits: ReadLimits | None = None) -> list[str]:
    """Names of a file's columns in order; of jsonl, those that occur in its first batch. Raises as `read_batches`."""
    return _open(path, limits or ReadLimits()).columns()


def count_rows(path: Path) -> int | None:
    """About how many rows a file has, for a progress bar; None where that is not cheap. Raises as `read_batches`."""
    return _open(path, ReadLimits()).count()


def file_format(path: Path) -> str:
    """Format by extension. Raises DataError `format_unknown`."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        message = f"{path} has no known extension; expected one of {known}, found {path.suffix or 'none'!r}"
        raise DataError("format_unknown", message) from None


def _open(path: Path, limits: ReadLimits) -> _Source:
    if path.is_dir():
        from pipeline.dataset_rows import DatasetSource, is_dataset

        if is_dataset(path):
            return DatasetSource(path, limits)
    kind = file_format(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError("file_missing", f"{path} {what}; give a {kind} file")
    _refuse_disguise(path, kind)
    if kind == "csv":
        from pipeline.csv_rows import CsvSource

        return CsvSource(path, limits)
    if kind == "jsonl":
        from pipeline.jsonl_rows import JsonlSource

        return JsonlSource(path, limits)
    if kind == "parquet":
        from pipeline.parquet_rows import ParquetSource

        return ParquetSource(path, limits)
    from pipeline.xlsx_rows import XlsxSource

    return XlsxSource(path, limits)


def _refuse_disguise(path: Path, kind: str) -> None:
    """A ZIP named .csv can decode as GB18030 by chance, so look at the first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise unreadable(path, error.strerror or "the system refuses") from None
    for magic, what, belongs in _MAGIC:
        if start.startswith(magic) and belongs != kind:
            raise unreadable(path, f"it is named {path.suffix} but is {what}; rename, unpack or save it as {kind}")
    if kind in ("parquet", "xlsx") and not any(
        start.startswith(magic) for magic, _, belongs in _MAGIC if belongs == kind
    ):
        raise unreadable(path, f"it is named {path.suffix} but is no {kind} file")
