"""Rows into parquet. Columns of our own have fixed types; those that the input brought along take the values' type."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.cells import Column, encodable
from pipeline.errors import DataError
from pipeline.rows import Row, size_of

_GROUP_ROWS = 65_536
_GROUP_BYTES = 64 << 20
_MOST_FIELDS = 256  # of one column's objects: Arrow holds every field of every row, also where a row lacks it
_TYPES = {
    "text": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "flag": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
    "aspects": pa.map_(pa.string(), pa.int8()),
    "labels": pa.list_(pa.string()),
    "notes": pa.list_(pa.string()),
}


class ParquetSink:
    """An open parquet file.

    A column of kind `any` may change its mind after thousands of rows (a number, then text). What is written by then
    is copied once with the wider type, so that no row is lost and no column is text for nothing.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._path = path
        self._columns = tuple(columns)
        self._types: dict[str, pa.DataType] = {}
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[Row] = []
        self._waiting_bytes = 0
        self._tables: list[pa.Table] = []
        self._columnar = False

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._waiting.append(row)
            # A character takes up to four bytes in memory.
            self._waiting_bytes += 4 * sum(map(size_of, row.values()))
            if len(self._waiting) >= _GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
                self._flush()

    def write_table(self, table: pa.Table) -> None:
        """Append a table as it is; the first one's types are the file's. Not to be mixed with `write`."""
        self._tables.append(table)
        if sum(held.num_rows for held in self._tables) >= _GROUP_ROWS or _nbytes(self._tables) >= _GROUP_BYTES:
            self._flush_tables()

    def close(self) -> None:
        if self._tables:
            self._flush_tables()
        if not self._columnar:
            self._flush(last=True)
        if self._writer is not None:
            with _told():
                self._writer.close()

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _flush_tables(self) -> None:
        tables, self._tables, self._columnar = self._tables, [], True
        with _told():
            # What pandas noted of the source's columns is not true of these.
            table = pa.concat_tables(tables).replace_schema_metadata(None)
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def _flush(self, *, last: bool = False) -> None:
        rows, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not rows and not (last and self._writer is None):
            return
        with _told():
            arrays = {column.name: self._array(column, _cells(rows, column)) for column in self._columns}
            schema = pa.schema([(name, array.type) for name, array in arrays.items()])
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, schema, compression="zstd")
            elif self._writer.schema != schema:
                schema = self._widen(schema)
                for column in self._columns:
                    if schema.field(column.name).type != arrays[column.name].type:
                        arrays[column.name] = _as_text(_cells(rows, column))
            self._types = {field.name: field.type for field in schema}
            self._writer.write_table(pa.table(list(arrays.values()), schema=schema))

    def _array(self, column: Column, values: list[Any]) -> pa.Array:
        if column.kind == "embedding":
            return _embeddings(values, self._types.get(column.name))
        fixed = _TYPES.get(column.kind)
        if fixed is not None:
            return pa.array([_fit(value, column.kind) for value in values], type=fixed)
        return _inferred(values, self._types.get(column.name))

    def _widen(self, schema: pa.Schema) -> pa.Schema:
        """Copy the row groups written so far with the new types, then go on after them.

        Returns the schema that all of them fit: a column whose old cells do not fit the new type becomes text.
        """
        if self._writer is not None:
            self._writer.close()
        old = self._path.with_name(self._path.name + ".narrow")
        self._path.rename(old)
        try:
            with pq.ParquetFile(old) as file:
                schema = _fitting(file, schema)
                self._writer = pq.ParquetWriter(self._path, schema, compression="zstd")
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    columns = [_cast(table.column(field.name), field.type) for field in schema]
                    self._writer.write_table(pa.table(columns, schema=schema))
        finally:
            old.unlink(missing_ok=True)
        return schema


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        # Arrow's own message may hold a cell.
        message = f"parquet cannot hold these rows ({type(error).__name__}); name a .jsonl or .csv file to write to"
        raise DataError("write_failed", message) from None


def _nbytes(tables: Sequence[pa.Table]) -> int:
    return sum(int(table.nbytes) for table in tables)


def _cells(rows: Sequence[Row], column: Column) -> list[Any]:
    return [row.get(column.name) for row in rows]


def _fitting(file: pq.ParquetFile, schema: pa.Schema) -> pa.Schema:
    """The schema with text for every column of the file that cannot be cast, such as 2^53 + 1 to a float."""
    for i, field in enumerate(schema):
        if file.schema_arrow.field(field.name).type == field.type:
            continue
        try:
            for group in range(file.num_row_groups):
                _cast(file.read_row_group(group, columns=[field.name]).column(0), field.type)
        except pa.ArrowException:
            schema = schema.set(i, field.with_type(pa.string()))
    return schema


def _inferred(values: list[Any], before: pa.DataType | None) -> pa.Array:
    """An array of the type that fits both these values and the column's type so far; text where nothing else does."""
    try:
        array = None if _many_fields(values) else pa.array(values)
        if array is None or _holds_nothing(array.type):
            return _as_text(values)
        if before is None or array.type == before:
            return array
        if pa.types.is_null(array.type):
            return array.cast(before)
        if pa.types.is_null(before):
            return array
        numeric = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (array.type, before))
        return array.cast(pa.float64()) if numeric else _as_text(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _as_text(values)


def _holds_nothing(kind: pa.DataType) -> bool:
    """Whether there is a struct without fields in it, which parquet has no form for."""
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_holds_nothing(kind.field(i).type) for i in range(kind.num_fields))
    return pa.types.is_list(kind) and _holds_nothing(kind.value_type)


def _many_fields(values: Sequence[Any]) -> bool:
    """Whether the objects among the values have too many different fields, at any depth, for a column of their own."""
    found: set[tuple[str, ...]] = set()
    waiting: list[tuple[tuple[str, ...], Any]] = [((), value) for value in values if isinstance(value, Mapping | list)]
    while waiting and len(found) <= _MOST_FIELDS:
        path, value = waiting.pop()
        inner = (
            [((*path, str(key)), cell) for key, cell in value.items()]
            if isinstance(value, Mapping)
            else [(path, cell) for cell in value]
        )
        found.update(place for place, _ in inner if place)
        waiting += [one for one in inner if isinstance(one[1], Mapping | list)]
    return len(found) > _MOST_FIELDS


def _as_text(values: list[Any]) -> pa.Array:
    return pa.array([_fit(value, "text") for value in values], type=pa.string())


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_fixed_size_list(kind):
        return pa.chunked_array([_embeddings(column.to_pylist(), kind)])
    if column.type == kind or pa.types.is_null(column.type) or not pa.types.is_string(kind):
        return column.cast(kind)
    return pa.chunked_array([_as_text(column.to_pylist())])


def _fit(value: Any, kind: str) -> Any:
    if value is None or kind not in ("text", "labels", "notes"):
        return value
    if kind != "text":
        return [encodable(str(item)) for item in value]
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict | list | tuple):
        return encodable(json.dumps(value, ensure_ascii=False, default=str))
    return str(value)


def _embeddings(values: list[Any], before: pa.DataType | None) -> pa.Array:
    """float16 lists of one fixed width, that of the first value; NaN throughout where there is none.

    Arrow writes a missing fixed-size list to parquet in a way that it then refuses to read.
    """
    import numpy as np

    known = before.list_size if before is not None and pa.types.is_fixed_size_list(before) else None
    width = next((len(value) for value in values if value is not None), known)
    if width is None:
        return pa.nulls(len(values))
    cells = np.full((len(values), width), np.nan, dtype=np.float16)
    for i, value in enumerate(values):
        if value is not None:
            cells[i] = value
    return pa.FixedSizeListArray.from_arrays(pa.array(cells.reshape(-1)), width)
