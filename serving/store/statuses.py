"""The way of a comment over the desk: new, assigned, in progress, resolved, and reopened where that was too early."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from serving.store import events
from serving.store.ids import new_id
from serving.store.tables import feedback, status_history

NEW, ASSIGNED, IN_PROGRESS, RESOLVED, REOPENED = "new", "assigned", "in_progress", "resolved", "reopened"

NEXT = {
    NEW: (ASSIGNED, IN_PROGRESS, RESOLVED),
    ASSIGNED: (ASSIGNED, IN_PROGRESS, RESOLVED),  # again, to somebody else
    IN_PROGRESS: (ASSIGNED, RESOLVED),
    RESOLVED: (REOPENED,),
    REOPENED: (ASSIGNED, IN_PROGRESS, RESOLVED),
}
"""Status -> those that may follow."""

CALL_BACK = timedelta(hours=72)
"""After a grave complaint was resolved, somebody asks the customer whether it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """A status that somebody wants; the note is masked."""

    status: str
    by: str
    assignee: str | None = None
    note: str | None = None


_RESOLUTION = ("resolved_at", "callback_due_at", "called_back_at", "call_outcome")


class Refused(Exception):  # noqa: N818  (an outcome, told as a problem)
    """The status does not follow on the present one."""

    def __init__(self, present: str) -> None:
        super().__init__(present)
        self.present = present


def change(connection: Connection, row: Row[Any], wanted: Change, *, now: datetime) -> bool:
    """Give a comment, whose row is locked, another status; False where it is as wanted already. Raises Refused."""
    latest = history(connection, row.id)[-1:]
    entry = {
        "id": new_id(now),
        "feedback_id": row.id,
        "status": wanted.status,
        "by": wanted.by,
        "assignee": wanted.assignee,
        "note": wanted.note,
        "at": now,
    }
    if wanted.status == row.status and wanted.assignee == (latest[0].assignee if latest else None):
        if wanted.note is not None and (latest[0].by, latest[0].note) != (wanted.by, wanted.note):
            connection.execute(status_history.insert().values(**entry))  # nothing moved, but something was said
        return False
    if wanted.status not in NEXT[row.status]:
        raise Refused(row.status)
    values = {"status": wanted.status, "status_at": now, **_times(row, wanted.status, now)}
    connection.execute(update(feedback).where(feedback.c.id == row.id).values(**values))
    connection.execute(status_history.insert().values(**entry))
    data = {"feedback_id": row.id, "status": wanted.status, "before": row.status, "queue": row.queue}
    events.record(connection, events.Event(events.STATUS, row.id, data, now, occurrence=str(entry["id"])))
    return True


def history(connection: Connection, id: str) -> list[Row[Any]]:  # noqa: A002
    """All statuses of a comment, the first one first."""
    found = select(status_history).where(status_history.c.feedback_id == id)
    return list(connection.execute(found.order_by(status_history.c.at, status_history.c.id)))


def response_time(row: Row[Any], decision: Mapping[str, Any] | None = None) -> timedelta | None:
    """How long there was to answer a comment when it came; by the decision that holds, or by another one."""
    due = (decision or row.decision)["due_at"]
    return None if due is None else datetime.fromisoformat(due) - min(row.created_at, row.received_at)


def _times(row: Row[Any], status: str, now: datetime) -> dict[str, Any]:
    """What else changes: who waits for what until when."""
    if status == REOPENED:
        within = response_time(row)
        due_at = None if within is None else now + within
        unanswered = dict.fromkeys((*_RESOLUTION, "responded_at", "overdue_at"))
        return {**unanswered, "cycle": row.cycle + 1, "escalation": 0, "due_at": due_at, "clock_at": due_at}
    responded = row.responded_at or now
    if status == IN_PROGRESS:
        return {"responded_at": responded, "clock_at": None}
    if status == RESOLVED:
        call_back = now + CALL_BACK if row.grave else None
        times = {"responded_at": responded, "resolved_at": now}
        return {**times, "callback_due_at": call_back, "clock_at": call_back}
    return {}
