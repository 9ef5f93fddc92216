"""Rows into csv, tsv, jsonl, parquet and xlsx files that appear whole or not at all.

jsonl and parquet hold values as they are. csv and xlsx are for spreadsheets: aspects as `logistics:-1;product:+1`,
several labels as `a;b`, and text that would run as a formula behind an apostrophe.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from pipeline.atomic import atomic_file
from pipeline.cells import Column
from pipeline.errors import DataError
from pipeline.readers import file_format
from pipeline.rows import Row

__all__ = ["Column", "RowWriter", "open_writer"]


class _Sink(Protocol):
    """An open file of one format."""

    def write(self, rows: Sequence[Row]) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


@runtime_checkable
class _TableSink(Protocol):
    """An open file of a format that holds columns."""

    def write_table(self, table: Any) -> None: ...


class RowWriter:
    """Writes beside its path and takes its place on a clean exit; on any error nothing is left there."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        file_format(path)
        self._path = path
        self._columns = tuple(columns)
        self._stack = ExitStack()
        self._sink: _Sink | None = None

    def __enter__(self) -> Self:
        with self._told(), ExitStack() as stack:
            temporary = stack.enter_context(atomic_file(self._path))
            self._sink = _open_sink(self._path, temporary, self._columns)
            self._stack = stack.pop_all()
        return self

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows; what a row lacks is written empty. Raises DataError `write_failed`, `limit_exceeded`."""
        if self._sink is None:
            raise ValueError("write() outside of the with block")
        with self._told():
            self._sink.write(rows)

    def write_table(self, table: Any) -> None:
        """Append an Arrow table with all columns, to parquet only. Raises as `write`."""
        if not isinstance(self._sink, _TableSink):
            raise TypeError(f"{self._path} takes rows, within the with block")
        with self._told():
            self._sink.write_table(table)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sink, self._sink = self._sink, None
        if error is not None:
            # The first error is the one to tell; closing may fail again, and the file goes anyway.
            with suppress(Exception):
                if sink is not None:
                    sink.abandon()
            self._stack.__exit__(kind, error, trace)
            return
        if sink is not None:
            with self._told(), self._stack:
                sink.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error).splitlines()[0]
            message = f"{self._path} cannot be written ({reason}); free some space or name another place"
            raise DataError("write_failed", message) from None


def open_writer(path: Path, *, columns: Sequence[Column]) -> RowWriter:
    """A context manager that writes rows to `path` in the format of its extension.

    Raises DataError `format_unknown`; on entering, writing and leaving `write_failed`.
    """
    return RowWriter(path, columns)


def _open_sink(path: Path, temporary: Path, columns: Sequence[Column]) -> _Sink:
    kind = file_format(path)
    if kind == "csv":
        from pipeline.csv_output import CsvSink

        return CsvSink(temporary, columns, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    if kind == "jsonl":
        from pipeline.jsonl_output import JsonlSink

        return JsonlSink(temporary, columns)
    if kind == "parquet":
        from pipeline.parquet_output import ParquetSink

        return ParquetSink(temporary, columns)
    from pipeline.xlsx_output import XlsxSink

    return XlsxSink(temporary, columns)
