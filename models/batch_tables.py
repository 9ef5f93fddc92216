"""Parquet into parquet: the source's columns are copied as they are, types and all; ours are built from arrays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.answer import DIGITS
from models.answer_records import EMBEDDING, NEVER_DUE, RecordLayout
from models.batch_columns import OutputColumns
from models.batch_due import DueTimes, due_times
from models.batch_segment import EVIDENCE, Segment, changed
from pipeline.cells import encodable
from pipeline.writers import RowWriter


def join_tables(
    tables: Iterator[Any],
    segments: Iterator[Segment],
    *,
    output: OutputColumns,
    layout: RecordLayout,
    model_version: str,
    writer: RowWriter,
    path: Path,
) -> None:
    """Write all tables with their answers beside them. Raises DataError `input_changed`."""
    answers = _Answers(answer_table(segment, layout, model_version=model_version) for segment in segments)
    empty = answer_table(Segment(layout.blank(0), np.zeros(0, np.int64), [], None), layout, model_version=model_version)
    names = [column.name for column in output.columns()]
    for table in tables:
        beside = answers.take(table.num_rows) if table.num_rows else empty
        if beside is None:
            raise changed(path)
        found = dict(zip(table.column_names, table.columns, strict=True))
        found |= {
            output.prefix + name: column for name, column in zip(beside.column_names, beside.columns, strict=True)
        }
        writer.write_table(pa.table({name: found[name] for name in names}))
    if answers.take(1) is not None:
        raise changed(path)


def answer_table(segment: Segment, layout: RecordLayout, *, model_version: str) -> pa.Table:
    """A segment's answers as the columns that scoring adds to a parquet file, named without the prefix."""
    failed = segment.failed()
    due = due_times(segment.answers, segment.started, layout)
    told = ("error", "model_version")
    columns = {name: _column(name, kind, segment, layout, due) for name, kind in layout.kinds if name not in told}
    errors = pa.array([encodable(message) for message in segment.errors], pa.string())
    places = pa.array(segment.answers["error"], mask=~failed)
    columns["error"] = errors.take(places) if len(errors) else pa.nulls(len(segment), pa.string())
    columns["model_version"] = pa.repeat(pa.scalar(model_version, pa.string()), len(segment))
    if segment.evidence_json is not None:
        columns[EVIDENCE] = pa.array(segment.evidence_json, pa.string())
    if EMBEDDING in (layout.dtype.names or ()):
        columns[EMBEDDING] = _embeddings(segment.answers[EMBEDDING], failed)
    return pa.table(columns)


def _column(name: str, kind: str, segment: Segment, layout: RecordLayout, due: DueTimes) -> pa.Array:
    if kind == "time":
        return pa.array(due.at, pa.timestamp("us", tz="UTC"), mask=due.at == NEVER_DUE)
    failed = segment.failed()
    values = np.ascontiguousarray(due.reasons if name == "reasons" else segment.answers[name])
    if kind == "text":
        return pa.array(layout.words[name], pa.string()).take(pa.array(values, mask=failed))
    if kind == "labels":
        given = layout.labels(name, values) & ~failed[:, None]
        labels = pa.array(layout.words[name], pa.string()).take(pa.array(np.nonzero(given)[1]))
        return pa.ListArray.from_arrays(_offsets(given, failed), labels)
    if kind == "aspects":
        given = (values != 0) & ~failed[:, None]
        codes = values[given] - 1
        keys = pa.array(layout.words[name], pa.string()).take(pa.array(codes // 3))
        return pa.MapArray.from_arrays(_offsets(given, failed), keys, pa.array((codes % 3 - 1).astype(np.int8)))
    if kind == "number":
        values = values / 10**DIGITS
    elif kind == "integer":
        values, failed = values.astype(np.int64), failed | (values == 0)
    return pa.array(values, mask=failed)


def _offsets(given: npt.NDArray[np.bool_], failed: npt.NDArray[np.bool_]) -> pa.Array:
    """Where each row's cells begin in an array of all cells; null where the row has no list at all."""
    ends = np.concatenate([[0], np.cumsum(given.sum(axis=1))]).astype(np.int32)
    return pa.array(ends, mask=np.append(failed, False))


def _embeddings(values: npt.NDArray[np.float16], failed: npt.NDArray[np.bool_]) -> pa.Array:
    # A missing fixed-size list is written in a way that Arrow then refuses to read: NaN throughout instead.
    cells = np.where(failed[:, None], np.float16("nan"), values)
    return pa.FixedSizeListArray.from_arrays(pa.array(cells.reshape(-1)), values.shape[1])


class _Answers:
    """Tables one after the other, to be taken in pieces of any size."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables = tables
        self._held: list[pa.Table] = []
        self._rows = 0

    def take(self, rows: int) -> pa.Table | None:
        """The next rows; None where there are not as many."""
        while self._rows < rows:
            table = next(self._tables, None)
            if table is None:
                return None
            self._held.append(table)
            self._rows += table.num_rows
        all_held = pa.concat_tables(self._held)
        self._held, self._rows = [all_held.slice(rows)], self._rows - rows
        return all_held.slice(0, rows)
