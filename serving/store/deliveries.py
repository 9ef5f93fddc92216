"""Deliveries: one for each event and endpoint that wants it, kept until it was received or given up.

One worker of all makes and claims them, under the lease of the outbox. It claims a delivery in a transaction of its own
before it sends and notes the outcome in another: who dies between leaves a claim that runs out, and the message is sent
again with the same id. A claim that was lost notes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, or_, select, update

from serving.store import endpoint_table, events, leases
from serving.store.inserting import insert_new
from serving.store.tables import events as events_table
from serving.store.tables import webhook_deliveries as table
from serving.store.tables import webhook_endpoints
from serving.webhooks.endpoints import Endpoint

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"

KEPT = timedelta(days=30)
"""How long what was received is remembered. Dead letters stay until they are replayed or their endpoint is removed."""

PER_ENDPOINT = 4
"""Messages to one endpoint at once; a single one while it fails, so that it can hold up few."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours to send, with all that the message needs."""

    event_id: str
    type: str
    subject: str
    data: Mapping[str, Any]
    happened_at: datetime
    endpoint: Endpoint
    attempt: int  # 1 for the first
    token: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of an attempt. `status` PENDING with `next_attempt_at` is one that is tried again."""

    status: str
    error: str | None = None
    http_status: int | None = None
    next_attempt_at: datetime | None = None
    endpoint_waits_until: datetime | None = None
    disable: str | None = None  # the endpoint, and why


def is_work(connection: Connection, *, now: datetime) -> bool:
    """Whether there is anything to dispatch or to send; costs no lock."""
    if connection.scalar(select(webhook_endpoints.c.id).limit(1)) is None:
        return False
    waiting = select(events_table.c.id).where(events_table.c.dispatched.is_(False))
    due = select(table.c.event_id).join(webhook_endpoints).where(_due(now), _open(now))
    return bool(connection.scalar(select(or_(exists(waiting), exists(due)))))


def dispatch(connection: Connection, *, holder: str, now: datetime) -> int | None:
    """Make deliveries of up to BATCH events; how many events there were, None where another worker has the lease.

    An endpoint is told of what happened since it was added, but for the time that it was disabled.
    """
    if not leases.acquire(connection, leases.OUTBOX, holder=holder, now=now):
        return None
    endpoints = endpoint_table.load(connection)
    rows = events.undispatched(connection, limit=leases.BATCH) if endpoints else []
    for row in rows:
        for endpoint in endpoints:
            if endpoint.disabled_at is None and endpoint.created_at <= row.created_at and endpoint.wants(row.type):
                insert_new(connection, table, _fresh(row.id, endpoint, now))
    events.mark_dispatched(connection, [row.id for row in rows], now=now)
    return len(rows)


def claim(
    connection: Connection,
    *,
    holder: str,
    now: datetime,
    hold: timedelta,
    room: int,
    busy: Mapping[str, int],
    token: str,
) -> list[Claimed] | None:
    """Take up to `room` deliveries that are due, those longest due of each endpoint; None without the lease.

    `busy` says how many of an endpoint's are under way. Those of the least busy come first.
    """
    if not leases.acquire(connection, leases.OUTBOX, holder=holder, now=now):
        return None
    taken: list[Claimed] = []
    for endpoint in sorted(endpoint_table.load(connection), key=lambda endpoint: busy.get(endpoint.id, 0)):
        if endpoint.disabled_at is not None or (endpoint.wait_until is not None and endpoint.wait_until > now):
            continue
        most = 1 if endpoint.failures else PER_ENDPOINT
        free = min(most - busy.get(endpoint.id, 0), room - len(taken))
        if free > 0:
            taken += _claim(connection, endpoint, now=now, until=now + hold, limit=free, token=token)
    return taken


def mark(connection: Connection, claimed: Claimed, found: Mark, *, now: datetime) -> bool:
    """Note what became of an attempt; False, and nothing noted, where the claim was lost."""
    values = {
        "status": found.status,
        "next_attempt_at": found.next_attempt_at,
        "claim": None,
        "claimed_until": None,
        "last_attempt_at": now,
        "last_status": found.http_status,
        "last_error": found.error,
        "finished_at": None if found.status == PENDING else now,
    }
    mine = and_(_is(claimed.event_id, claimed.endpoint.id), table.c.claim == claimed.token)
    if connection.execute(update(table).where(mine).values(**values)).rowcount != 1:
        return False
    if found.status == DELIVERED:
        endpoint_table.received(connection, claimed.endpoint.id)
    else:
        endpoint_table.failed(connection, claimed.endpoint.id, wait_until=found.endpoint_waits_until)
    if found.disable is not None:
        endpoint_table.disable(connection, claimed.endpoint.id, why=found.disable, now=now)
    return True


def release(connection: Connection, claims: Sequence[Claimed]) -> None:
    """Give back what was not sent to its end, as when a worker ends; it counts as no attempt."""
    for claimed in claims:
        mine = and_(_is(claimed.event_id, claimed.endpoint.id), table.c.claim == claimed.token)
        back = {"claim": None, "claimed_until": None, "attempts": claimed.attempt - 1}
        connection.execute(update(table).where(mine).values(**back))


def oldest_pending(connection: Connection) -> datetime | None:
    """Since when the one that waits longest has waited, of endpoints that are not disabled."""
    waiting = select(func.min(table.c.created_at)).join(webhook_endpoints)
    pending = connection.scalar(waiting.where(table.c.status == PENDING, webhook_endpoints.c.disabled_at.is_(None)))
    if connection.scalar(select(webhook_endpoints.c.id).limit(1)) is None:
        return None
    undispatched = select(func.min(events_table.c.created_at)).where(events_table.c.dispatched.is_(False))
    return min((time for time in (pending, connection.scalar(undispatched)) if time is not None), default=None)


def forget_old(connection: Connection, *, now: datetime) -> int:
    """Delete up to BATCH of what was received long ago, and how many there were."""
    old = select(table.c.event_id, table.c.endpoint_id).where(
        table.c.status == DELIVERED, table.c.finished_at <= now - KEPT
    )
    rows = connection.execute(old.limit(leases.BATCH)).all()
    for row in rows:
        connection.execute(delete(table).where(_is(row.event_id, row.endpoint_id)))
    return len(rows)


def forget_events(connection: Connection, *, holder: str, now: datetime, keep: timedelta) -> int | None:
    """Delete up to BATCH events of `keep` ago, with their deliveries, and how many there were.

    None where another worker has the lease. An event that somebody has still to be told of stays.
    """
    if not leases.acquire(connection, leases.RETENTION, holder=holder, now=now):
        return None
    pending = exists().where(table.c.event_id == events_table.c.id, table.c.status == PENDING)
    # Where nobody subscribes everyone has been told.
    told = or_(events_table.c.dispatched, ~exists(select(webhook_endpoints.c.id)))
    old = select(events_table.c.id).where(events_table.c.created_at <= now - keep, told, ~pending)
    first = old.order_by(events_table.c.created_at, events_table.c.id).limit(leases.BATCH)
    ids = list(connection.scalars(first))
    connection.execute(delete(events_table).where(events_table.c.id.in_(ids)))
    return len(ids)


def fresh_again(connection: Connection, event_id: str, endpoint: Endpoint, *, now: datetime) -> bool:
    """A delivery that is due now, made or begun anew; False where it is being sent at this moment."""
    row = _fresh(event_id, endpoint, now)
    if insert_new(connection, table, row):
        return True
    idle = or_(table.c.claimed_until.is_(None), table.c.claimed_until <= now)
    again = {**row, "claim": None, "claimed_until": None, "finished_at": None}
    return connection.execute(update(table).where(_is(event_id, endpoint.id), idle).values(**again)).rowcount == 1


def _claim(
    connection: Connection, endpoint: Endpoint, *, now: datetime, until: datetime, limit: int, token: str
) -> list[Claimed]:
    wanted = (
        select(table.c.attempts, events_table)
        .join(events_table, events_table.c.id == table.c.event_id)
        .where(table.c.endpoint_id == endpoint.id, _due(now))
        .order_by(table.c.next_attempt_at, events_table.c.created_at, table.c.event_id)
        .limit(limit)
        .with_for_update(of=table, skip_locked=True)
    )
    rows = connection.execute(wanted).all()
    ids = [row.id for row in rows]
    mine = update(table).where(table.c.endpoint_id == endpoint.id, table.c.event_id.in_(ids))
    connection.execute(mine.values(claim=token, claimed_until=until, attempts=table.c.attempts + 1))
    return [_claimed(row, endpoint, token) for row in rows]


def _claimed(row: Row[Any], endpoint: Endpoint, token: str) -> Claimed:
    return Claimed(
        event_id=row.id,
        type=row.type,
        subject=row.subject,
        data=row.data,
        happened_at=row.created_at,
        endpoint=endpoint,
        attempt=row.attempts + 1,
        token=token,
    )


def _fresh(event_id: str, endpoint: Endpoint, now: datetime) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "endpoint_id": endpoint.id,
        "status": PENDING,
        "attempts": 0,
        "next_attempt_at": now,
        "created_at": now,
    }


def _due(now: datetime) -> ColumnElement[bool]:
    unclaimed = or_(table.c.claimed_until.is_(None), table.c.claimed_until <= now)
    return and_(table.c.status == PENDING, table.c.next_attempt_at <= now, unclaimed)


def _open(now: datetime) -> ColumnElement[bool]:
    patient = or_(webhook_endpoints.c.wait_until.is_(None), webhook_endpoints.c.wait_until <= now)
    return and_(webhook_endpoints.c.disabled_at.is_(None), patient)


def _is(event_id: str, endpoint_id: str) -> ColumnElement[bool]:
    return and_(table.c.event_id == event_id, table.c.endpoint_id == endpoint_id)
