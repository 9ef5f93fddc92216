"""Scored files into a FeedbackTable: what `fankui score` writes and what the store exports, csv to parquet.

No row is lost silently: `ReadReport` counts what was left out and why, with the first rows.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pyarrow as pa

from pipeline.columns import ColumnMap, parse_time, require_columns, text_of
from pipeline.errors import DataError, FeedbackError
from pipeline.gold import LabelMistake, parse_gold
from pipeline.insights.attribute_cells import METADATA, AttributeCells, metadata_of
from pipeline.insights.plausible_times import far_away, in_the_future
from pipeline.insights.table import NOT_MENTIONED, Aspects, Categories, FeedbackTable, Floats, Ints, Times
from pipeline.parquet_rows import table_rows
from pipeline.prepare import prepare
from pipeline.readers import RowFile
from pipeline.rows import BAD_ROW, Row
from pipeline.schema import Kind, LabelSchema

EMBEDDING = "embedding"
SURVEYS = ("nps", "csat", "ces")
_NUMBERS = ("urgency_score", "satisfaction", "votes", "upvotes", "downvotes", "likes", *SURVEYS)
_MOMENTS = ("due_at", "responded_at", "resolved_at", "overdue_at", "status_at")
_CUSTOMER = "customer_ref"
_NO_ATTRIBUTE = {
    *(_CUSTOMER, "received_at", "tier_at", *_MOMENTS),
    *(
        "truncated",
        "flags",
        "reasons",
        "error",
        "model_version",
        "evidence",
        "title",
        "source",
        "group",
        EMBEDDING,
        "zone",
        "priority",
        "queue_priority",
        "escalation",
        "answer",
    ),
}
"""Columns that say nothing about where a comment comes from, or too much about whom."""

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How the files' columns are called and what their times mean."""

    schema: LabelSchema
    timezone: ZoneInfo
    columns: ColumnMap = field(default_factory=ColumnMap)
    prefix: str = ""  # that scoring put before its columns
    attributes: tuple[str, ...] | None = None  # None: every column that looks like one
    now: datetime | None = None  # with its zone; None: what the clock says


@dataclass
class ReadReport:
    """What was read and what was not. Row numbers count from 1 over all files."""

    rows: int = 0
    kept: int = 0
    left_out: dict[str, list[int]] = field(default_factory=dict)  # why -> rows
    times_missing: int = 0
    times_unread: int = 0
    times_without_zone: int = 0
    times_future: int = 0
    times_far_away: int = 0
    metadata_unread: int = 0
    labels_unknown: dict[str, int] = field(default_factory=dict)  # task -> cells
    embeddings_missing: int = 0
    ids_repeated: int = 0

    def leave_out(self, why: str, row: int) -> None:
        self.left_out.setdefault(why, []).append(row)

    def notes(self, timezone: ZoneInfo) -> list[str]:
        """One sentence for everything that a reader should know."""
        told = []
        for why, rows in self.left_out.items():
            shown = ", ".join(map(str, rows[:_SHOWN])) + (", …" if len(rows) > _SHOWN else "")
            told.append(f"{_rows(len(rows))} left out: {why} (row {shown})")
        if self.times_missing:
            told.append(f"{_rows(self.times_missing)} without a time: kept for topics, not counted over time")
        if self.times_unread:
            told.append(
                f"{_rows(self.times_unread)} with a time that is not understood; write it as 2026-09-30T17:00:00+08:00"
            )
        if self.times_without_zone:
            told.append(f"{_rows(self.times_without_zone)} with a time without a zone, taken as {timezone.key}")
        for count, where in (
            (self.times_future, "in the future"),
            (self.times_far_away, "years away from all others"),
        ):
            if count:
                told.append(
                    f"{_rows(count)} with a time {where}: kept for topics, not counted over time; correct the times"
                )
        if self.metadata_unread:
            told.append(f"{_rows(self.metadata_unread)} whose {METADATA} is no JSON object: read without it")
        for task, count in self.labels_unknown.items():
            told.append(f"{_rows(count)} with a label of {task} that the schema does not know, taken as unlabelled")
        if self.ids_repeated:
            told.append(f"{_rows(self.ids_repeated)} whose id occurs before; all are counted")
        return told

    def to_dict(self) -> dict[str, Any]:
        left = {why: {"rows": len(rows), "first": rows[:_SHOWN]} for why, rows in self.left_out.items()}
        counts = {
            name: getattr(self, name)
            for name in (
                *("times_missing", "times_unread", "times_without_zone", "times_future", "times_far_away"),
                *("metadata_unread", "embeddings_missing", "ids_repeated"),
            )
        }
        return {"rows": self.rows, "kept": self.kept, "left_out": left, "labels_unknown": self.labels_unknown} | counts


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def read_table(
    files: Sequence[RowFile], options: ReadOptions, *, progress: Callable[[int], None] | None = None
) -> tuple[FeedbackTable, ReadReport]:
    """All usable rows of all files, in order.

    Raises DataError `column_missing`, `no_rows` and what reading a file raises.
    """
    report = ReadReport()
    rows = _Rows(options, report)
    for file in files:
        require_columns(file, options.columns)
        for batch, vectors in _batches(file, options.prefix + EMBEDDING):
            for i, row in enumerate(batch):
                report.rows += 1
                rows.add(row, vector=None if vectors is None else vectors[i])
            if progress is not None:
                progress(report.rows)
    if not rows.ids:
        why = "; ".join(report.notes(options.timezone)) or "there are no rows"
        raise DataError("no_rows", f"{', '.join(str(file.path) for file in files)}: no usable comment: {why}")
    return rows.table(), report


def _batches(file: RowFile, embedding: str) -> Iterator[tuple[list[Row], Floats | None]]:
    """Rows, and their embeddings apart where the file holds them as an array: (rows, width), NaN where one has none.

    256 numbers a row as Python objects would cost more than everything else about the row.
    """
    tables = file.tables()
    if tables is None:
        yield from ((batch.rows, None) for batch in file.batches())
        return
    for table in tables:
        vectors = None
        if embedding in table.column_names and pa.types.is_fixed_size_list(table.schema.field(embedding).type):
            column = table.column(embedding).combine_chunks()
            flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
            vectors = None if column.null_count else flat.reshape(len(column), column.type.list_size)
        if vectors is not None:
            table = table.drop_columns([embedding])  # noqa: PLW2901
        yield [row for batch in table.to_batches() for row in table_rows(batch)], vectors


class _Rows:
    """Columns that grow row by row."""

    def __init__(self, options: ReadOptions, report: ReadReport) -> None:
        self._options = options
        self._report = report
        self._tasks = {
            task.name: options.prefix + options.columns.label_column(task.name) for task in options.schema.tasks
        }
        self._scored = tuple(f"{self._tasks[task.name]}_p" for task in options.schema.tasks)
        self.ids: list[str] = []
        self._texts: list[str] = []
        self._times: list[int | None] = []
        self._labels: dict[str, list[Any]] = {task.name: [] for task in options.schema.tasks}
        self._numbers: dict[str, dict[int, float]] = {}
        self._attributes = AttributeCells(options.attributes)
        self._embeddings: dict[int, Any] = {}
        self._moments: dict[str, dict[int, int]] = {}
        self._customers: dict[int, str] = {}
        self._seen: set[str] = set()

    def add(self, row: Row, *, vector: Floats | None = None) -> None:
        columns, report = self._options.columns, self._report
        if BAD_ROW in row:
            report.leave_out("it cannot be read", report.rows)
            return
        if row.get(self._options.prefix + "error"):
            report.leave_out("scoring failed at it", report.rows)
            return
        try:
            text = prepare(text_of(row.get(columns.text))).text
        except FeedbackError:
            report.leave_out("it has no text", report.rows)
            return
        at = len(self.ids)
        self._texts.append(text)
        self.ids.append(self._id(row.get(columns.id)))
        self._times.append(self._time(row))
        for task in self._options.schema.tasks:
            try:
                found = parse_gold(row.get(self._tasks[task.name]), task)
            except LabelMistake:
                report.labels_unknown[task.name] = report.labels_unknown.get(task.name, 0) + 1
                found = None
            self._labels[task.name].append(found)
        self._rest(row, at)
        if vector is not None:
            self._embeddings[at] = vector
        report.kept += 1

    def _id(self, cell: Any) -> str:
        found = str(self._report.rows) if cell in (None, "") else str(cell)
        self._report.ids_repeated += found in self._seen
        self._seen.add(found)
        return found

    def _time(self, row: Row) -> int | None:
        cell = row.get(self._options.columns.created_at)
        if cell in (None, ""):
            cell = row.get("received_at")  # the store knows it where the client gave none
        if cell in (None, ""):
            self._report.times_missing += 1
            return None
        found = parse_time(cell)
        if found is None:
            self._report.times_unread += 1
            return None
        self._report.times_without_zone += found.tzinfo is None
        return _seconds(found, self._options.timezone)

    def _rest(self, row: Row, at: int) -> None:
        columns, prefix = self._options.columns, self._options.prefix
        used = {columns.text, columns.id, columns.created_at, *self._tasks.values()}
        for name, cell in row.items():
            if cell is None or name in used:
                continue
            plain = name.removeprefix(prefix).lower()
            if plain == EMBEDDING:
                # As an array at once: a list of 256 Python numbers takes sixteen times the memory.
                self._embeddings[at] = np.asarray(orjson.loads(cell) if isinstance(cell, str) else cell, np.float32)
            elif plain in _NUMBERS or plain == "sentiment_p_negative":
                self._number(plain, cell, at)
            elif plain in _MOMENTS:
                moment = parse_time(cell)
                if moment is not None:
                    self._moments.setdefault(plain, {})[at] = _seconds(moment, self._options.timezone)
            elif plain == _CUSTOMER:
                self._customers[at] = str(cell)
                if self._options.attributes is not None:
                    self._attributes.add(name, cell, at)
            elif name == METADATA:
                self._metadata(row, cell, at)
            elif self._may_be_attribute(plain):
                self._attributes.add(name, cell, at)

    def _metadata(self, row: Row, cell: Any, at: int) -> None:
        """Taken apart; a column that is called as a key is, holds what counts."""
        try:
            found = metadata_of(cell)
        except ValueError:
            self._report.metadata_unread += 1
            return
        if found is None:
            self._attributes.add(METADATA, cell, at)
            return
        for key, value in found.items():
            if key in row or key in self._tasks:
                continue
            if key in _NUMBERS:
                self._number(key, value, at)
            elif self._may_be_attribute(key.lower()):
                self._attributes.add(key, value, at)

    def _may_be_attribute(self, name: str) -> bool:
        if self._options.attributes is not None:
            return True
        scored = name.endswith("_probability") or name.startswith("corrected_") or name.startswith(self._scored)
        return not scored and name not in _NO_ATTRIBUTE

    def _number(self, name: str, cell: Any, at: int) -> None:
        try:
            self._numbers.setdefault(name, {})[at] = float(cell)
        except (TypeError, ValueError):
            return

    def table(self) -> FeedbackTable:
        count = len(self.ids)
        tasks = self._options.schema.tasks
        single = {task.name: task for task in tasks if task.kind in (Kind.SINGLE, Kind.ORDINAL)}
        labels = {
            name: Categories.of(self._labels[name], order=task.keys)
            for name, task in single.items()
            if any(cell is not None for cell in self._labels[name])
        }
        aspects = next((task for task in tasks if task.kind is Kind.ASPECT), None)
        return FeedbackTable(
            ids=tuple(self.ids),
            texts=tuple(self._texts),
            times=self._plausible(_times(self._times)),
            timezone=self._options.timezone,
            labels=labels,
            numbers={name: _column(cells, count) for name, cells in self._numbers.items()},
            aspects=None if aspects is None else _aspects(self._labels[aspects.name], aspects.keys),
            attributes=self._attributes.columns(count),
            embeddings=self._embedding_array(count),
            moments={name: _times(cells.get(i) for i in range(count)) for name, cells in self._moments.items()},
            customers=self._customer_codes(count),
        )

    def _plausible(self, times: Times) -> Times:
        future = in_the_future(times, self._options.now or datetime.now(UTC))
        kept = np.where(future, np.datetime64("NaT"), times)
        remote = far_away(kept)
        self._report.times_future, self._report.times_far_away = int(future.sum()), int(remote.sum())
        return np.where(remote, np.datetime64("NaT"), kept)

    def _customer_codes(self, count: int) -> Ints | None:
        """Which rows are of one customer: whose they are is not kept."""
        if not self._customers:
            return None
        return Categories.of(self._customers.get(i) or None for i in range(count)).codes

    def _embedding_array(self, count: int) -> Floats | None:
        """(n, width). Raises DataError `embeddings_differ`."""
        whole = sum(bool(np.isfinite(cell).all()) for cell in self._embeddings.values())
        self._report.embeddings_missing = count - whole
        if not self._embeddings:
            return None
        width = len(next(iter(self._embeddings.values())))
        found = np.full((count, width), np.nan, dtype=np.float32)
        for i, cell in self._embeddings.items():
            if len(cell) != width:
                raise DataError(
                    "embeddings_differ",
                    f"embeddings of {width} and of {len(cell)} numbers; score all files with one model",
                )
            found[i] = cell
        return found


def _seconds(moment: datetime, timezone: ZoneInfo) -> int:
    """Since 1970 in UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone)
    return math.floor((aware.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def _times(seconds: Iterable[int | None]) -> Times:
    found = [np.datetime64("NaT") if one is None else np.datetime64(one, "s") for one in seconds]
    return np.array(found).astype("datetime64[s]")


def _column(cells: Mapping[int, float], count: int) -> Floats:
    found = np.full(count, np.nan, dtype=np.float32)
    found[list(cells)] = list(cells.values())
    return found


def _aspects(cells: Iterable[Mapping[str, int] | None], keys: tuple[str, ...]) -> Aspects | None:
    rows = list(cells)
    if all(cell is None for cell in rows):
        return None
    index = {key: i for i, key in enumerate(keys)}
    polarity = np.full((len(rows), len(keys)), NOT_MENTIONED, dtype=np.int8)
    for i, cell in enumerate(rows):
        for key, value in (cell or {}).items():
            polarity[i, index[key]] = value
    return Aspects(keys, polarity)
