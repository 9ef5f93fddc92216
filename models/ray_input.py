"""What `fankui score --engine ray` reads: csv and parquet files, single or in folders, cut into slices of rows.

A slice is what one actor scores at a time. It travels as Arrow bytes; the columns of parquet keep their types.
"""

import glob
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.score_arguments import data_files
from pipeline.errors import DataError, UsageError
from pipeline.parquet_rows import table_rows
from pipeline.readers import RowFile, file_format, open_file
from pipeline.rows import BAD_ROW, ReadLimits, Row, batches, unreadable

FORMATS = ("csv", "parquet")
_READ_ROWS, _READ_NESTED_ROWS = 16, 4  # decoded at a time, see pipeline/parquet_rows.py; 2 microseconds a row
_SLICE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """One input file. `place` is where its parts go below the target, without the extension: `dt=2026-03-01/march`."""

    path: Path
    place: str

    @property
    def format(self) -> str:
        return file_format(self.path)


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive rows of a source; `first_row` counts from 1, `last` ends the file."""

    source: int
    first_row: int
    last: bool
    table: pa.Table  # of csv text only, BAD_ROW among the columns where a row could not be read


def find_sources(args: Sequence[str]) -> list[Source]:
    """Files that the ARGs name: files, folders with all below them, and patterns.

    Raises UsageError for what is neither csv nor parquet, for nothing found, and for two files of one place.
    """
    found: dict[Path, Source] = {}
    for arg in args:
        path = Path(arg)
        names = [arg] if path.exists() else sorted(glob.glob(arg, recursive=True))  # noqa: PTH207
        if not names:
            raise UsageError("file_missing", f"there is no file or folder {arg}; --engine ray scores files only")
        for name in names:
            for source in _below(Path(name)):
                found.setdefault(source.path, source)
    places: dict[str, Path] = {}
    for source in found.values():
        other = places.setdefault(source.place, source.path)
        if other != source.path:
            raise UsageError(
                "output_clash", f"{other} and {source.path} would be written to the same place; score them one by one"
            )
    return list(found.values())


def row_groups(source: Source) -> list[tuple[int, tuple[int, ...] | None]]:
    """Where reading may begin at once: (first row, row groups), of some _SLICE_BYTES each; csv only at the top."""
    if source.format != "parquet":
        return [(1, None)]
    metadata = pq.read_metadata(source.path)
    units: list[tuple[int, tuple[int, ...] | None]] = []
    first, size, groups = 1, 0, list[int]()
    rows = 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        rows += metadata.row_group(group).num_rows
        size += metadata.row_group(group).total_byte_size
        if size >= _SLICE_BYTES:
            units.append((first, tuple(groups)))
            first, size, groups = rows + 1, 0, []
    if groups or not units:
        units.append((first, tuple(groups)))
    return units


def read_slices(
    source: Source,
    number: int,
    *,
    first_row: int,
    groups: Sequence[int] | None,
    slice_rows: int,
    done: Container[int],
    ends: bool,
) -> Iterator[Slice]:
    """The slices from `first_row` on, but for those whose first row is in `done`; `ends`: the file ends with them.

    The same file gives the same slices every time. Raises DataError as `open_file` and its rows do.
    """
    opened = open_file(source.path)
    parts = _csv_tables(opened, slice_rows) if groups is None else _parquet_tables(source.path, groups, slice_rows)
    waiting: Slice | None = None
    for table in parts:
        if waiting is not None and waiting.first_row not in done:
            yield waiting
        start = first_row if waiting is None else waiting.first_row + waiting.table.num_rows
        waiting = Slice(number, start, False, table)
    if waiting is not None and waiting.first_row not in done:
        yield Slice(number, waiting.first_row, ends, waiting.table)


def slice_rows_of(piece: Slice, format: str) -> list[Row]:  # noqa: A002
    """The rows as the readers give them: bad ones and oversized cells told under BAD_ROW."""
    if format == "csv":
        return [{name: cell for name, cell in row.items() if cell is not None} for row in piece.table.to_pylist()]
    rows = (row for batch in piece.table.to_batches() for row in table_rows(batch))
    limits = ReadLimits(batch_rows=max(1, piece.table.num_rows))
    return [row for batch in batches(rows, path=Path(), limits=limits) for row in batch.rows]


def to_bytes(table: pa.Table) -> bytes:
    """A table as one Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def from_bytes(content: pa.Buffer) -> pa.Table:
    """The inverse of `to_bytes`, without a copy."""
    return pa.ipc.open_stream(content).read_all()


def _below(path: Path) -> Iterator[Source]:
    if not path.is_dir():
        yield _source(path, path.stem)
        return
    seen = data_files(path)
    if not seen:
        raise UsageError("no_files", f"{path} holds no csv or parquet file; name another folder")
    for file in seen:
        yield _source(file, PurePosixPath(file.relative_to(path)).with_suffix("").as_posix())


def _source(path: Path, place: str) -> Source:
    try:
        known = file_format(path)
    except DataError:
        known = ""
    if known not in FORMATS:
        raise UsageError(
            "ray_format",
            f"--engine ray reads csv, tsv and parquet; {path} is neither; leave it out, or score it without --engine",
        )
    return Source(path.absolute(), place)


def _csv_tables(opened: RowFile, slice_rows: int) -> Iterator[pa.Table]:
    schema = pa.schema([(name, pa.string()) for name in [*opened.column_names, BAD_ROW]])
    rows: list[Row] = []
    size = 0
    any_yet = False
    for batch in opened.batches():
        for row in batch.rows:
            rows.append(row)
            size += sum(map(len, row.values()))
            if len(rows) == slice_rows or 4 * size >= _SLICE_BYTES:
                yield _text_table(rows, schema)
                any_yet, rows, size = True, [], 0
    if rows or not any_yet:
        yield _text_table(rows, schema)


def _text_table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    columns: list[list[Any]] = [[row.get(name) for row in rows] for name in schema.names]
    return pa.table([pa.array(column, type=pa.string()) for column in columns], schema=schema)


def _parquet_tables(path: Path, groups: Sequence[int], slice_rows: int) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16) as file:
            kept: list[pa.RecordBatch] = []
            rows = size = 0
            any_yet = False
            nested = any(pa.types.is_nested(field.type) for field in file.schema_arrow)
            at_once = _READ_NESTED_ROWS if nested else _READ_ROWS
            for batch in file.iter_batches(batch_size=at_once, row_groups=list(groups), use_threads=False):
                kept.append(batch)
                rows += batch.num_rows
                size += batch.nbytes
                if rows >= slice_rows or size >= _SLICE_BYTES:
                    yield pa.Table.from_batches(kept).combine_chunks()
                    any_yet, kept, rows, size = True, [], 0, 0
            if kept or not any_yet:
                yield pa.Table.from_batches(kept, schema=file.schema_arrow).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, f"its data is damaged ({type(error).__name__})") from None
