"""Counts of comments for the page: over time, by label, and what is open. Each is one scan of an index.

Time is when the customer wrote (`created_at`). What was erased still counts, for its labels and times stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, cast, extract, func, null, select, text

from serving.store.tables import OPEN, events, feedback

CHANNELS = 30
"""Channels that are named; the rest of a free field would fill the page."""

_NAMES = ("queue", "category", "urgency", "channel")


@dataclass(frozen=True, slots=True)
class Slice:
    """Which comments are counted or listed; None for any."""

    queue: str | None = None
    category: str | None = None
    urgency: str | None = None
    channel: str | None = None
    begin: datetime | None = None  # written at this moment or later
    end: datetime | None = None  # and before this one

    def conditions(self) -> list[ColumnElement[bool]]:
        """As SQL has it."""
        found = [unindexed(name) == value for name in _NAMES if (value := getattr(self, name)) is not None]
        if self.begin is not None:
            found.append(feedback.c.created_at >= self.begin)
        if self.end is not None:
            found.append(feedback.c.created_at < self.end)
        return found


@dataclass(frozen=True, slots=True)
class Cell:
    """Comments of one stretch of time with the same labels. `start` is the wall clock's, without a zone."""

    start: datetime
    sentiment: str | None
    urgency: str | None
    category: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Desk:
    """What is open at one queue."""

    queue: str
    open: int
    due_soon: int  # to be answered within the time that was asked about
    overdue: int


def unindexed(name: str) -> ColumnElement[str]:
    """A column of texts that is compared, but not by its own index.

    For `queue = ?` SQLite would take the index of queues and read every row of one, in place of a part of an index that
    holds all that is asked for: 200,000 comments took it seconds (sqlite.org/optoverview.html, unary operators).
    """
    return feedback.c[name].concat("")


def is_open() -> list[ColumnElement[bool]]:
    """The conditions of what is open; likewise without the index of erased_at, in which nearly all are NULL."""
    return [text(OPEN), func.coalesce(feedback.c.erased_at, null()).is_(None)]  # type: ignore[list-item]


def over_time(connection: Connection, part: Slice, *, hours: int, zone: tzinfo) -> list[Cell]:
    """Counts by stretches of `hours` on the zone's wall clock, sentiment, urgency and category.

    `part` needs both ends. Stretches begin at midnight; where clocks change, one is an hour longer or shorter.
    """
    assert part.begin is not None
    assert part.end is not None
    counted: dict[tuple[Any, ...], int] = {}
    labels = (feedback.c.sentiment, feedback.c.urgency, feedback.c.category)
    for begin, end, offset in _even(part.begin, part.end, zone):
        bucket = (_epoch(connection) + round(offset.total_seconds())) // (hours * 3600)
        within = Slice(part.queue, part.category, part.urgency, part.channel, begin, end)
        found = select(bucket.label("bucket"), *labels, func.count()).where(*within.conditions())
        for *key, count in connection.execute(found.group_by(text("bucket"), *labels)):
            counted[tuple(key)] = counted.get(tuple(key), 0) + count
    start = datetime(1970, 1, 1)
    step = timedelta(hours=hours)
    return [Cell(start + key[0] * step, key[1], key[2], key[3], count) for key, count in counted.items()]


def by_label(connection: Connection, part: Slice) -> list[tuple[str | None, str | None, int]]:
    """(sentiment, urgency, count)."""
    labels = (feedback.c.sentiment, feedback.c.urgency)
    found = select(*labels, func.count()).where(*part.conditions()).group_by(*labels)
    return [(sentiment, urgency, count) for sentiment, urgency, count in connection.execute(found)]


def total(connection: Connection, part: Slice) -> int:
    """How many there are."""
    return connection.scalar(select(func.count()).select_from(feedback).where(*part.conditions())) or 0


def first_written(connection: Connection) -> datetime | None:
    """When the oldest comment was written."""
    found: datetime | None = connection.scalar(select(func.min(feedback.c.created_at)))
    return found


def channels(connection: Connection, part: Slice) -> list[str]:
    """The channels that most comments came by."""
    column = feedback.c.channel
    found = select(column).where(*part.conditions(), column.is_not(None)).group_by(column)
    return list(connection.scalars(found.order_by(func.count().desc(), column).limit(CHANNELS)))


def desks(connection: Connection, part: Slice, *, now: datetime, soon: timedelta) -> list[Desk]:
    """What is open at every queue, the most pressing first. The times of `part` do not count."""
    table = feedback.c
    waits = table.responded_at.is_(None)
    overdue = func.count().filter(waits, table.due_at < now)
    due_soon = func.count().filter(waits, table.due_at >= now, table.due_at < now + soon)
    queue = unindexed("queue").label("desk")
    found = select(queue, func.count(), due_soon, overdue).where(
        *is_open(), *Slice(part.queue, part.category, part.urgency, part.channel).conditions()
    )
    rows = [Desk(*row) for row in connection.execute(found.group_by(text("desk")))]
    return sorted(rows, key=lambda desk: (-desk.overdue, -desk.due_soon, -desk.open, desk.queue))


def happened(connection: Connection, *, since: datetime, limit: int) -> list[Row[Any]]:
    """Events (id, type, subject, created_at) from `since` on, the newest `limit`, oldest first."""
    columns: list[Any] = [events.c.id, events.c.type, events.c.subject, events.c.created_at]
    found = select(*columns).where(events.c.created_at >= since)
    newest = connection.execute(found.order_by(events.c.created_at.desc(), events.c.id.desc()).limit(limit))
    return [*newest][::-1]


def stretches(begin: datetime, end: datetime, *, hours: int, zone: tzinfo) -> list[datetime]:
    """Starts of all stretches between two moments, on the wall clock, as `over_time` names them."""
    first = begin.astimezone(zone).replace(tzinfo=None)
    first = first.replace(hour=first.hour - first.hour % hours, minute=0, second=0, microsecond=0)
    last = (end - timedelta(microseconds=1)).astimezone(zone).replace(tzinfo=None)
    count = (last - first) // timedelta(hours=hours) + 1
    return [first + i * timedelta(hours=hours) for i in range(count)]


def _even(begin: datetime, end: datetime, zone: tzinfo) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """The time between two moments in pieces during which the zone's offset is the same."""
    start, offset = begin, _offset(begin, zone)
    moment = begin
    while moment < end:
        later = min(moment + timedelta(hours=1), end)
        if later < end and _offset(later, zone) != offset:
            # Clocks change on the full quarter of an hour; within an hour of it is near enough for a count.
            yield start, later, offset
            start, offset = later, _offset(later, zone)
        moment = later
    yield start, end, offset


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _epoch(connection: Connection) -> ColumnElement[int]:
    seconds = extract("epoch", feedback.c.created_at)
    if connection.dialect.name == "sqlite":
        return seconds
    return cast(func.floor(seconds), BigInteger)
