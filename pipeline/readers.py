"""Rows of csv, tsv, jsonl, parquet and xlsx files and of saved Hugging Face datasets, in bounded batches.

One bad row never stops a file. Memory stays bounded whatever a file claims: 130 KB of parquet hold up to 1.2 GB.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pipeline.errors import DataError, UsageError
from pipeline.rows import BAD_ROW, ReadLimits, Row, RowBatch, batches, unreadable

__all__ = [
    "BAD_ROW",
    "FORMATS",
    "ReadLimits",
    "RowBatch",
    "RowFile",
    "column_names",
    "count_rows",
    "file_format",
    "open_file",
    "read_batches",
]

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


@runtime_checkable
class _Columnar(Protocol):
    """A file that holds columns, of which some can be read without the others."""

    def rows_of(self, columns: Sequence[str]) -> Iterable[Row]: ...
    def tables(self) -> Iterator[Any]: ...


class RowFile:
    """A file whose encoding or parts have been looked at; it can be read as often as needed.

    `column_names`: in order; of jsonl, those that occur in its first batch.
    """

    def __init__(self, path: Path, source: _Source, *, limits: ReadLimits, sheet: str | None = None) -> None:
        self.path = path
        self.sheet = sheet
        self.column_names = source.columns()
        self._source = source
        self._limits = limits

    def batches(self, *, columns: Sequence[str] | None = None) -> Iterator[RowBatch]:
        """Yield the rows in order. Rows that cannot be read come as `{BAD_ROW: message, …}`.

        `columns`: all that is needed of a row; it may hold more, and a row that is bad elsewhere may come as a good
        one. Raises DataError `unreadable` or `limit_exceeded`.
        """
        source = self._source
        rows = source.rows_of(columns) if columns is not None and isinstance(source, _Columnar) else source.rows()
        try:
            yield from batches(rows, path=self.path, limits=self._limits)
        except UnicodeDecodeError:
            # Its encoding was right when the file was opened.
            raise unreadable(self.path, "it changed while it was read; try again") from None

    def tables(self) -> Iterator[Any] | None:
        """All rows as Arrow tables of bounded size, one at least; None where the format has none.

        Raises DataError `unreadable`.
        """
        return self._source.tables() if isinstance(self._source, _Columnar) else None

    def has_column(self, name: str) -> bool:
        """Whether any row has this column; of jsonl the first batch does not tell."""
        late = FORMATS.get(self.path.suffix.lower()) == "jsonl"
        return name in self.column_names or (late and any(name in row for row in self._source.rows()))

    def count(self) -> int | None:
        """About how many rows there are, for a progress bar; None where that is not cheap."""
        return self._source.count()


def open_file(path: Path | RowFile, *, limits: ReadLimits | None = None, sheet: str | None = None) -> RowFile:
    """Look at a file once, so that it can be read several times; a file that is open already comes back as it is.

    `sheet`: of a workbook, the sheet to read. Raises DataError `file_missing`, `format_unknown`, `unreadable`,
    `undecodable`, `limit_exceeded`, `several_sheets`, `sheet_missing`; UsageError `no_sheets`.
    """
    if isinstance(path, RowFile):
        return path
    limits = limits or ReadLimits()
    return RowFile(path, _open(path, limits, sheet), limits=limits, sheet=sheet)


def read_batches(path: Path | RowFile, *, limits: ReadLimits | None = None) -> Iterator[RowBatch]:
    """Yield a file's rows in order, see `RowFile.batches`. Raises as `open_file`."""
    yield from open_file(path, limits=limits).batches()


def column_names(path: Path, *, limits: ReadLimits | None = None) -> list[str]:
    """Names of a file's columns in order; of jsonl, those that occur in its first batch. Raises as `open_file`."""
    return open_file(path, limits=limits).column_names


def count_rows(path: Path) -> int | None:
    """About how many rows a file has, for a progress bar; None where that is not cheap. Raises as `open_file`."""
    return open_file(path).count()


def file_format(path: Path) -> str:
    """Format by extension. Raises DataError `format_unknown`."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        message = f"{path} has no known extension; expected one of {known}, found {path.suffix or 'none'!r}"
        raise DataError("format_unknown", message) from None


def _open(path: Path, limits: ReadLimits, sheet: str | None) -> _Source:
    if sheet is not None and path.suffix.lower() != ".xlsx":
        raise UsageError("no_sheets", f"--sheet is for xlsx files; {path} has no sheets")
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

    return XlsxSource(path, limits, sheet=sheet)


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
