"""Another decision about a comment that is kept: another desk, another due time, and the event that tells of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, update

from serving.store import clock, events
from serving.store.ids import new_id
from serving.store.statuses import REOPENED, RESOLVED, history, response_time
from serving.store.tables import feedback

_TOLD = ("queue", "zone", "priority", "due_at")


def reroute(connection: Connection, row: Row[Any], decision: Mapping[str, Any], *, now: datetime) -> bool:
    """Let `decision` (as models/answer.py has it) hold for a comment whose row is locked; whether that moves it.

    The due time runs from where it ran before, so that a customer who has waited goes on waiting no longer; one that
    lies in the past is overdue at the next look. What was taken up keeps its times, what is resolved all of it.
    """
    if row.status == RESOLVED:
        return False
    due_at = _due_at(connection, row, decision)
    after = {**{name: decision.get(name) for name in _TOLD}, "due_at": _iso(due_at)}
    before = {"queue": row.queue, "zone": row.zone, "priority": row.priority, "due_at": _iso(row.due_at)}
    values: dict[str, Any] = {"decision": dict(decision)}
    values |= {name: decision.get(name) for name in ("queue", "zone", "priority")}
    if row.responded_at is None:
        values |= _waiting(row, due_at, response_time(row, decision), now)
    else:
        after["due_at"] = before["due_at"]
    connection.execute(update(feedback).where(feedback.c.id == row.id).values(**values))
    if after == before:
        return False
    data = {"feedback_id": row.id, **after, "reasons": list(decision["reasons"]), "before": before}
    events.record(connection, events.Event(events.REROUTED, row.id, data, now, occurrence=new_id(now)))
    return True


def _due_at(connection: Connection, row: Row[Any], decision: Mapping[str, Any]) -> datetime | None:
    if decision["due_at"] is None:
        return None
    if row.cycle == 0:
        return datetime.fromisoformat(decision["due_at"]).astimezone(UTC)  # as the row has it
    reopened = [entry.at for entry in history(connection, row.id) if entry.status == REOPENED]
    within = response_time(row, decision)
    return None if within is None or not reopened else reopened[-1] + within


def _waiting(row: Row[Any], due_at: datetime | None, within: timedelta | None, now: datetime) -> dict[str, Any]:
    """Its due time, and when the clock has to look at it: no longer overdue where there is time again."""
    if row.overdue_at is None or due_at is None or due_at > now:
        return {"due_at": due_at, "clock_at": due_at, "overdue_at": None, "escalation": 0}
    return {"due_at": due_at, "clock_at": clock.next_look(due_at, within, level=row.escalation)}


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
