"""What scoring needs of a file's rows: their texts, and the moments from which their due times run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from models.answer_records import Records
from models.batch_segment import mark_unreadable, microseconds
from pipeline.columns import ColumnMap, parse_time, text_of
from pipeline.errors import DataError, FeedbackError, TextError
from pipeline.routing import Origin, RoutingPolicy, origin_word
from pipeline.rows import BAD_ROW, Row

_TIMES = 65_536  # remembered: a form other than ISO 8601 costs a hundred times as much to read, and days repeat


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """n rows, read."""

    texts: list[str | FeedbackError]  # as they came
    started: npt.NDArray[np.int64]  # (n,) microseconds since 1970
    unreadable: list[int]  # rows whose time is no time
    origins: list[Origin] | None = None  # where each came from; None where the policy does not ask

    def origin(self, row: int) -> Origin | None:
        """Where a row came from, if the policy asks."""
        return None if self.origins is None else self.origins[row]

    def flag(self, answers: Records) -> None:
        """Mark those rows' answers. `answers`: (n,)"""
        mark_unreadable(answers, self.unreadable)


class RowReader:
    """Reads rows for one run."""

    def __init__(self, columns: ColumnMap, policy: RoutingPolicy, *, now: datetime) -> None:
        self._columns = columns
        self._policy = policy
        self._now = now
        self._present = microseconds(policy.start(None, now=now))
        self._parsed = lru_cache(_TIMES)(self._start)

    def read(self, rows: Sequence[Row]) -> Incoming:
        """Texts and times of rows; never raises for a row."""
        started = np.full(len(rows), self._present, dtype=np.int64)
        unreadable = []
        name = self._columns.created_at
        for i, row in enumerate(rows):
            cell = row.get(name)
            if cell is None or cell == "":
                continue
            found = self._parsed(cell) if isinstance(cell, str) else self._start(cell)
            if found is None:
                unreadable.append(i)
            else:
                started[i] = found
        origins = [self._origin(row) for row in rows] if self._policy.rules.asks_origin else None
        return Incoming([_text(row, self._columns.text) for row in rows], started, unreadable, origins)

    def _origin(self, row: Row) -> Origin:
        channel, tier = row.get(self._columns.channel), row.get(self._policy.tier_field)
        return Origin(origin_word(channel), origin_word(tier))

    def _start(self, cell: Any) -> int | None:
        time = parse_time(cell)
        return None if time is None else microseconds(self._policy.start(time, now=self._now))


def _text(row: Row, name: str) -> str | FeedbackError:
    cell = row.get(name)
    if BAD_ROW in row:
        return DataError("row_unreadable", str(row[BAD_ROW]))
    if isinstance(cell, str):
        return cell
    try:
        return text_of(cell)
    except TextError as error:
        return error
