"""The outbox: what happened, written in the transaction in which it did, and delivered later, at least once.

An event's id follows from what happened: told twice it is the same event. Whoever has something to tell calls `record`
in its own transaction; store/deliveries.py makes deliveries of it, webhooks/delivering.py sends them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from serving.store.inserting import insert_new
from serving.store.tables import events as table

ROUTED = "feedback.routed"
REROUTED = "feedback.rerouted"
CORRECTED = "feedback.corrected"
STATUS = "feedback.status_changed"
OVERDUE = "feedback.overdue"
ESCALATED = "feedback.escalated"
CALLBACK_DUE = "feedback.callback_due"
CALLED_BACK = "feedback.called_back"
ERASED = "feedback.erased"
JOB_FINISHED = "job.finished"
ALERT = "insight.alert"

TYPES = (
    *(ROUTED, REROUTED, CORRECTED, STATUS, OVERDUE, ESCALATED, CALLBACK_DUE, CALLED_BACK, ERASED),
    *(JOB_FINISHED, ALERT),
)
"""All that can be subscribed to."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a comment or a job, or an alert; `data` holds ids, labels and times, never text."""

    type: str
    subject: str
    data: Mapping[str, Any]
    created_at: datetime
    occurrence: str = ""  # tells two events of one type and subject apart

    @property
    def id(self) -> str:
        parts = "\n".join((self.type, self.subject, self.occurrence))
        return f"evt_{hashlib.sha256(parts.encode()).hexdigest()[:40]}"


def record(connection: Connection, event: Event) -> bool:
    """Put an event into the outbox; False where it is there already."""
    return insert_new(
        connection,
        table,
        {
            "id": event.id,
            "type": event.type,
            "subject": event.subject,
            "data": dict(event.data),
            "created_at": event.created_at,
            "dispatched": False,
        },
    )


def undispatched(connection: Connection, *, limit: int) -> list[Any]:
    """Rows for which there are no deliveries yet, oldest first; locked, and those that others have locked left out."""
    found = select(table).where(table.c.dispatched.is_(False)).order_by(table.c.created_at, table.c.id).limit(limit)
    return list(connection.execute(found.with_for_update(skip_locked=True)))


def mark_dispatched(connection: Connection, ids: Sequence[str], *, now: datetime) -> None:
    """Call it in the transaction that writes the deliveries."""
    connection.execute(update(table).where(table.c.id.in_(ids)).values(dispatched=True, dispatched_at=now))
