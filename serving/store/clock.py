"""Looks at comments whose time has come: overdue, escalated, to be called back. Each event is created once.

A comment is answered when somebody takes it up (in progress) or resolves it; until then its due time runs. After it
passed, the matter goes up a level each time that as long again goes by.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from serving.store import events, idempotency, leases
from serving.store.statuses import RESOLVED, response_time
from serving.store.tables import events as events_table
from serving.store.tables import feedback as table

HIGHEST = 3
"""Levels that a matter can go up: team, desk, management."""

LEAST_STEP = timedelta(minutes=30)


def tick(connection: Connection, *, holder: str, now: datetime, happened: Counter[str] | None = None) -> int | None:
    """Handle up to BATCH comments; how many there were, None where another worker has the lease.

    `happened` gets how many events of each type there were.
    """
    if not leases.acquire(connection, leases.CLOCK, holder=holder, now=now):
        return None
    due = (
        select(table)
        .where(table.c.clock_at <= now)
        .order_by(table.c.clock_at, table.c.id)
        .limit(leases.BATCH)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(due).all()
    moved = _moved(connection, [row.id for row in rows])
    for row in rows:
        event, values = _look(row, now, moved=moved[row.id])
        if event is not None and events.record(connection, event) and happened is not None:
            happened[event.type] += 1
        connection.execute(update(table).where(table.c.id == row.id).values(**values))
    if not rows:
        idempotency.forget_old(connection, now=now)
    return len(rows)


def _moved(connection: Connection, ids: Sequence[str]) -> Counter[str]:
    """How often each comment was routed anew."""
    told = events_table.c
    found = select(told.subject).where(told.subject.in_(ids), told.type == events.REROUTED)
    return Counter(connection.scalars(found))


def _look(row: Row[Any], now: datetime, *, moved: int) -> tuple[events.Event | None, dict[str, Any]]:
    """What has happened to a comment, and what is to be noted of it."""
    data = {"feedback_id": row.id, "queue": row.queue, "urgency": row.urgency, "status": row.status}
    if row.status == RESOLVED:
        data["callback_due_at"] = row.callback_due_at.isoformat()
        told = events.Event(events.CALLBACK_DUE, row.id, data, now, f"{row.cycle}")
        return told, {"clock_at": None}
    if row.responded_at is not None or row.due_at is None:
        return None, {"clock_at": None}
    data["due_at"] = row.due_at.isoformat()
    # A correction may give it another due time, or the same one again, which may pass as well.
    occurrence = f"{row.cycle}:{moved}" if moved else f"{row.cycle}"
    within = response_time(row)
    if row.overdue_at is None:
        told = events.Event(events.OVERDUE, row.id, data, now, occurrence)
        return told, {"overdue_at": now, "clock_at": next_look(row.due_at, within, level=0)}
    level = row.escalation + 1
    told = events.Event(events.ESCALATED, row.id, {**data, "level": level}, now, f"{occurrence}:{level}")
    return told, {"escalation": level, "clock_at": next_look(row.due_at, within, level=level)}


def next_look(due_at: datetime, within: timedelta | None, *, level: int) -> datetime | None:
    """When a comment that is overdue, and went up to `level`, goes up another one; `within` is the time it had."""
    if level >= HIGHEST:
        return None
    try:
        return due_at + (level + 1) * max(within or LEAST_STEP, LEAST_STEP)
    except OverflowError:  # nobody lives to see it
        return None
