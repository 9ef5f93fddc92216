"""Takes away what a comment says and whose it is, on request or when its time is over. The figures stay.

What stays: id, channel, tier, times, labels, probabilities, decision, statuses and who gave them. What goes: text,
original, metadata, customer, the body's digest, and what people noted in their own words. The event tells those who
have copies.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from serving.store import events, idempotency, leases
from serving.store.ids import location_of
from serving.store.tables import calls, corrections, feedback, originals, status_history

REQUESTED, EXPIRED = "requested", "expired"


def erase(connection: Connection, row: Row[Any], *, now: datetime) -> None:
    """Erase a comment whose row is locked."""
    _erase(connection, [row.id], now=now, why=REQUESTED)


def erase_customer(connection: Connection, customer_ref: str, *, now: datetime) -> int:
    """Erase up to BATCH comments of a customer, whose reference is given as it is kept; how many there were."""
    ids = _locked(connection, feedback.c.customer_ref == customer_ref)
    _erase(connection, ids, now=now, why=REQUESTED)
    return len(ids)


def count_customer(connection: Connection, customer_ref: str) -> int:
    """How many comments of a customer, likewise given, are not erased."""
    wanted = select(func.count()).where(feedback.c.customer_ref == customer_ref, feedback.c.erased_at.is_(None))
    return connection.scalar(wanted) or 0


def erase_old(connection: Connection, *, holder: str, now: datetime, keep: timedelta) -> int | None:
    """Erase up to BATCH comments received `keep` ago; how many, None where another worker has the lease."""
    if not leases.acquire(connection, leases.RETENTION, holder=holder, now=now):
        return None
    ids = _locked(connection, feedback.c.received_at <= now - keep)
    _erase(connection, ids, now=now, why=EXPIRED)
    return len(ids)


def _locked(connection: Connection, condition: ColumnElement[bool]) -> list[str]:
    wanted = select(feedback.c.id).where(feedback.c.erased_at.is_(None), condition)
    # In one order, so that two who erase at once wait for each other and not both for ever.
    return list(
        connection.scalars(wanted.order_by(feedback.c.received_at, feedback.c.id).limit(leases.BATCH).with_for_update())
    )


def _erase(connection: Connection, ids: Sequence[str], *, now: datetime, why: str) -> None:
    if not ids:
        return
    gone: dict[str, Any] = {
        "text": "",
        "metadata": {},
        "customer_ref": None,
        "body_digest": "",
        "clock_at": None,
        "erased_at": now,
    }
    connection.execute(delete(originals).where(originals.c.feedback_id.in_(ids)))
    connection.execute(update(feedback).where(feedback.c.id.in_(ids)).values(**gone))
    connection.execute(update(corrections).where(corrections.c.feedback_id.in_(ids)).values(why=None))
    connection.execute(update(status_history).where(status_history.c.feedback_id.in_(ids)).values(note=None))
    connection.execute(update(calls).where(calls.c.feedback_id.in_(ids)).values(note=None))
    idempotency.close(connection, [location_of(id_) for id_ in ids])
    for id_ in ids:
        data = {"feedback_id": id_, "reason": why}
        events.record(connection, events.Event(events.ERASED, id_, data, now))
