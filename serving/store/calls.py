"""Calls back to customers once their complaint was resolved: is it? Due after grave ones, welcome after any."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from serving.store import events
from serving.store.ids import new_id
from serving.store.statuses import RESOLVED
from serving.store.tables import calls as table
from serving.store.tables import feedback

UNREACHABLE = "unreachable"
"""The outcome that reached nobody: the call is kept, and the call-back stays due."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that somebody made; the note is masked."""

    outcome: str  # satisfied, dissatisfied, unreachable
    by: str
    note: str | None = None


class NotResolved(Exception):  # noqa: N818  (an outcome, told as a problem)
    """There is nothing to ask the customer about yet."""

    def __init__(self, present: str) -> None:
        super().__init__(present)
        self.present = present


def record(connection: Connection, row: Row[Any], call: Call, *, now: datetime) -> tuple[str, bool]:
    """Keep a call about a comment whose row is locked: its id, and whether it is new. Raises NotResolved.

    The same one by the same person, sent twice, is kept once; each that reached nobody is another.
    """
    if row.status != RESOLVED:
        raise NotResolved(row.status)
    latest = of_feedback(connection, row.id)[-1:]
    same = latest and (latest[0].outcome, latest[0].by, latest[0].note) == (call.outcome, call.by, call.note)
    if same and call.outcome != UNREACHABLE and latest[0].at >= row.resolved_at:
        return str(latest[0].id), False
    entry = {"id": new_id(now), "feedback_id": row.id, "outcome": call.outcome, "by": call.by, "note": call.note}
    connection.execute(table.insert().values(**entry, at=now))
    reached = {"called_back_at": now, "clock_at": None} if call.outcome != UNREACHABLE else {}
    if reached or row.called_back_at is None:  # what the customer said before holds against one who is not there now
        values = {"call_outcome": call.outcome, **reached}
        connection.execute(update(feedback).where(feedback.c.id == row.id).values(**values))
    data = {"feedback_id": row.id, "call_id": entry["id"], "outcome": call.outcome, "queue": row.queue}
    events.record(connection, events.Event(events.CALLED_BACK, row.id, data, now, occurrence=str(entry["id"])))
    return str(entry["id"]), True


def of_feedback(connection: Connection, id: str) -> list[Row[Any]]:  # noqa: A002
    """All calls about a comment, oldest first."""
    return list(connection.execute(select(table).where(table.c.feedback_id == id).order_by(table.c.at, table.c.id)))
