"""Rows of parquet files, decoded a few at a time.

A dictionary-encoded file of 130 KB can hold 1.2 GB of text, and the file's own metadata tells 127 KB. Decoding 16 rows
at once bounds that (1,200 cells of 1 MB each: 150 MiB resident) and costs little (450,000 short rows: 0.8 s).
What remains is one compressed page that holds everything: told by its ratio before it is decompressed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.rows import ReadLimits, Row, bad_row, limit_exceeded, unreadable

_SLICE = 16
_NESTED_SLICE = 4  # a row of lists or maps can hold many cells
_TABLE_ROWS = 4096
_TABLE_BYTES = 8 << 20
_SUSPICIOUS_BYTES = 64 << 20
_SUSPICIOUS_RATIO = 200  # Chinese text compresses 2 to 10 times


class ParquetSource:
    """One parquet file."""

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self._path = path
        self._limits = limits
        try:
            with pq.ParquetFile(path) as file:
                self._metadata = file.metadata
                self._names = list(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(path, f"it is no valid parquet file ({_first_line(error)})") from None
        if len(self._names) > limits.max_columns:
            raise limit_exceeded(path, f"{len(self._names):,} columns", f"at most {limits.max_columns:,} are read")
        twice = next((name for name in self._names if self._names.count(name) > 1), None)
        if twice is not None:
            raise unreadable(path, f"it has two columns named {twice[:40]!r}")
        self._refuse_bomb()

    def columns(self) -> list[str]:
        return self._names

    def count(self) -> int | None:
        return int(self._metadata.num_rows)

    def rows(self) -> Iterator[Row]:
        return self._rows(None)

    def rows_of(self, columns: Sequence[str]) -> Iterator[Row]:
        """Rows of some columns; names that the file does not have are passed over."""
        return self._rows([name for name in self._names if name in columns])

    def tables(self) -> Iterator[pa.Table]:
        """All columns, some thousand rows at a time; at least one table, which may be empty."""
        empty = True
        for table in self._tables(None):
            empty = False
            yield table
        if empty:
            with pq.ParquetFile(self._path) as file:
                yield file.schema_arrow.empty_table()

    def _rows(self, columns: list[str] | None) -> Iterator[Row]:
        for table in self._tables(columns):
            for batch in table.to_batches():
                yield from table_rows(batch)

    def _tables(self, columns: list[str] | None) -> Iterator[pa.Table]:
        """Slices put together: what is decoded at once stays small, what is looked at in Python is worth the call."""
        held: list[pa.RecordBatch] = []
        rows = size = 0
        try:
            # buffer_size and pre_buffer: a column is read page by page instead of as a whole.
            with pq.ParquetFile(self._path, pre_buffer=False, buffer_size=1 << 16) as file:
                read = [field for field in file.schema_arrow if columns is None or field.name in columns]
                slice_rows = _NESTED_SLICE if any(pa.types.is_nested(field.type) for field in read) else _SLICE
                for batch in file.iter_batches(batch_size=slice_rows, columns=columns, use_threads=False):
                    held.append(batch)
                    rows, size = rows + batch.num_rows, size + batch.nbytes
                    if rows >= _TABLE_ROWS or size >= _TABLE_BYTES:
                        yield pa.Table.from_batches(held).combine_chunks()
                        held, rows, size = [], 0, 0
            if held:
                yield pa.Table.from_batches(held).combine_chunks()
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self._path, f"its data is damaged ({_first_line(error)})") from None

    def _refuse_bomb(self) -> None:
        if self._metadata.num_rows > self._limits.max_rows:
            raise limit_exceeded(self._path, f"{self._metadata.num_rows:,} rows", "split it")
        for group in range(self._metadata.num_row_groups):
            row_group = self._metadata.row_group(group)
            for i in range(row_group.num_columns):
                column = row_group.column(i)
                size, packed = column.total_uncompressed_size, max(1, column.total_compressed_size)
                if size > _SUSPICIOUS_BYTES and size > _SUSPICIOUS_RATIO * packed:
                    found = f"a column that unpacks from {packed:,} to {size:,} bytes"
                    raise limit_exceeded(self._path, found, "write it again with smaller row groups")


def table_rows(batch: pa.RecordBatch) -> Iterator[Row]:
    """A batch's rows; one with a cell that is no Python value is a bad row without it."""
    names = batch.schema.names
    try:
        columns = [_cells(column) for column in batch.columns]
    except (UnicodeDecodeError, ValueError, OverflowError, pa.ArrowException):
        # One cell that is no Python value (invalid UTF-8 in a string column, a date beyond year 9999).
        for i in range(batch.num_rows):
            yield _single(batch.slice(i, 1))
        return
    for cells in zip(*columns, strict=True):
        yield dict(zip(names, cells, strict=True))


def _single(row: pa.RecordBatch) -> Row:
    kept: Row = {}
    broken = ""
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            kept[name] = _cells(column)[0]
        except (UnicodeDecodeError, ValueError, OverflowError, pa.ArrowException):
            broken = name
    return (
        bad_row(f"column {broken[:40]!r} holds bytes that are no valid {_expected(row, broken)}", kept)
        if broken
        else kept
    )


def _expected(row: pa.RecordBatch, name: str) -> str:
    kind = row.schema.field(name).type
    return "UTF-8" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def _cells(column: pa.Array) -> list[Any]:
    if pa.types.is_map(column.type):
        return [None if pairs is None else dict(pairs) for pairs in column.to_pylist()]
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python has no nanoseconds; without the cast pyarrow would ask for pandas.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return list(column.to_pylist())


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
