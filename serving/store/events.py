"""The outbox: what happened, written in the transaction in which it did, and delivered later, at least once.

An event's id follows from what happened: told twice it is the same event.
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
CORRECTED = "feedback.corrected"
STATUS = "feedback.status_changed"
OVERDUE = "feedback.overdue"
ESCALATED = "feedback.escalated"
CALLBACK_DUE = "feedback.callback_due"
ERASED = "feedback.erased"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a comment; `data` holds ids, labels and times, never text."""

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
            "delivered": False,
            "attempts": 0,
        },
    )


def undelivered(connection: Connection, *, limit: int) -> list[Any]:
    """Rows that wait for delivery, oldest first."""
    found = select(table).where(table.c.delivered.is_(False)).order_by(table.c.created_at, table.c.id).limit(limit)
    return list(connection.execute(found))


def mark_delivered(connection: Connection, ids: Sequence[str], *, now: datetime) -> None:
    """Call it only once they were received: what dies between is delivered again, with the same id."""
    connection.execute(update(table).where(table.c.id.in_(ids)).values(delivered=True, delivered_at=now))
