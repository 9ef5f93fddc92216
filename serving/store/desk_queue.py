"""Comments as a desk works them off: what is due first comes first; what is done, and all of a time, newest first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, func, literal, null, select, tuple_

from serving.store.figures import Slice, is_open, unindexed
from serving.store.tables import feedback

State = Literal[
    "open", "overdue", "due_soon", "new", "assigned", "in_progress", "reopened", "resolved", "call_due", "all"
]

WAITING, UNTIMED, ANSWERED = "0", "1", "2"
"""Stand before the id in cursors of what is open: the order in which it is listed."""

_BEGINNING = 200  # characters of the text that lists show
_COLUMNS = (
    *("id", "queue", "category", "urgency", "sentiment", "channel", "zone", "status", "escalation"),
    *("created_at", "due_at", "responded_at", "resolved_at", "overdue_at", "callback_due_at", "called_back_at"),
)

Place = tuple[datetime, str]


def page(
    connection: Connection,
    part: Slice,
    *,
    state: State,
    now: datetime,
    soon: timedelta,
    after: Place | None,
    limit: int,
    among: Sequence[str] | None = None,
) -> list[Row[Any]]:
    """Rows behind a place (`place_of`), of these ids where they are given; `text` is the beginning of the masked text.

    First the ids, out of an index that holds all that is asked for, then their rows: asked for both at once, SQLite
    read the whole table to find 50 of 200,000 comments.
    """
    chosen = select(feedback.c.id).where(*part.conditions())
    if among is not None:
        chosen = chosen.where(feedback.c.id.in_(among))
    if state == "call_due":
        ids = _called_first(connection, chosen, after=after, limit=limit)
    elif state in ("resolved", "all"):
        ids = _newest(connection, chosen, state, after=after, limit=limit)
    else:
        chosen = chosen.where(*is_open(), *_of_state(state, now=now, soon=soon))
        ids = _due_first(connection, chosen, after=after, limit=limit)
    columns: list[Any] = [feedback.c[name] for name in _COLUMNS]
    columns.append(func.substr(feedback.c.text, 1, _BEGINNING).label("text"))
    rows = connection.execute(select(*columns).where(feedback.c.id.in_(ids)))
    return sorted(rows, key=lambda row: ids.index(row.id))


def place_of(row: Row[Any], state: State) -> Place:
    """Where the next page begins behind a row."""
    if state in ("resolved", "all"):
        return row.created_at, row.id
    if state == "call_due":
        return row.callback_due_at, row.id
    if row.responded_at is not None:
        return row.responded_at, f"{ANSWERED}{row.id}"
    return row.due_at or row.created_at, f"{UNTIMED if row.due_at is None else WAITING}{row.id}"


def _newest(connection: Connection, chosen: Select[Any], state: State, *, after: Place | None, limit: int) -> list[str]:
    key = (feedback.c.created_at, feedback.c.id)
    chosen = chosen.where(func.coalesce(feedback.c.erased_at, null()).is_(None))
    if state == "resolved":
        chosen = chosen.where(unindexed("status") == "resolved")
    if after is not None:
        chosen = chosen.where(tuple_(*key) < tuple_(*_typed(*after)))
    return list(connection.scalars(chosen.order_by(*(column.desc() for column in key)).limit(limit)))


def _called_first(connection: Connection, chosen: Select[Any], *, after: Place | None, limit: int) -> list[str]:
    """Whose customer has to be called back, by when."""
    key = (feedback.c.callback_due_at, feedback.c.id)
    due = chosen.where(feedback.c.callback_due_at.is_not(None), feedback.c.called_back_at.is_(None))
    due = due.where(func.coalesce(feedback.c.erased_at, null()).is_(None))
    if after is not None:
        due = due.where(tuple_(*key) > tuple_(*_typed(*after)))
    return list(connection.scalars(due.order_by(*key).limit(limit)))


def _due_first(connection: Connection, chosen: Select[Any], *, after: Place | None, limit: int) -> list[str]:
    """What waits for an answer by due time, then what has none, then what was answered: a query each, out of the index.

    In one query the databases would sort all that is open, and put NULL on different ends.
    """
    due, answered, identity = feedback.c.due_at, feedback.c.responded_at, feedback.c.id
    waits = answered.is_(None)
    phases: tuple[tuple[str, ColumnElement[bool], tuple[Any, ...]], ...] = (
        (WAITING, waits & due.is_not(None), (due, identity)),
        (UNTIMED, waits & due.is_(None), (identity,)),
        (ANSWERED, answered.is_not(None), (answered, identity)),
    )
    time, place = after or (None, "")
    ids: list[str] = []
    for phase, condition, key in phases:
        if phase < place[:1] or len(ids) == limit:
            continue
        part = chosen.where(condition).order_by(*key).limit(limit - len(ids))
        if time is not None and phase == place[:1]:
            part = part.where(tuple_(*key) > tuple_(*_typed(time, place[1:])[-len(key) :]))
        ids += connection.scalars(part)
    return ids


def _of_state(state: State, *, now: datetime, soon: timedelta) -> list[ColumnElement[bool]]:
    waits = feedback.c.responded_at.is_(None)
    if state == "overdue":
        return [waits, feedback.c.due_at < now]
    if state == "due_soon":
        return [waits, feedback.c.due_at >= now, feedback.c.due_at < now + soon]
    return [] if state == "open" else [unindexed("status") == state]


def _typed(time: datetime, identity: str) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return literal(time, feedback.c.due_at.type), literal(identity)
