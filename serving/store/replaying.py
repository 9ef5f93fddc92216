"""Sends again what was received already or given up: dead letters, chosen events, or all since a time.

The message keeps its id: a receiver that had it can tell.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from serving.store import leases
from serving.store.deliveries import DEAD, fresh_again
from serving.store.tables import events as events_table
from serving.store.tables import webhook_deliveries as table
from serving.store.tables import webhook_endpoints
from serving.webhooks.endpoints import Endpoint

Cursor = tuple[datetime, str]


def replay_events(connection: Connection, ids: Sequence[str], endpoints: Sequence[Endpoint], *, now: datetime) -> int:
    """Send events again to those of the endpoints that want them; how many messages that makes."""
    wanted = select(events_table).where(events_table.c.id.in_(ids))
    return _again(connection, connection.execute(wanted).all(), endpoints, now=now)


def replay_since(
    connection: Connection, since: datetime, endpoints: Sequence[Endpoint], *, after: Cursor | None, now: datetime
) -> tuple[int, Cursor | None]:
    """Likewise up to BATCH events from `since` on, behind `after`: messages, and where to go on; None at the end.

    What happens later than `now` is sent in any case.
    """
    time, id_ = after or (since, "")
    behind = or_(events_table.c.created_at > time, and_(events_table.c.created_at == time, events_table.c.id > id_))
    wanted = select(events_table).where(behind, events_table.c.created_at <= now)
    rows = connection.execute(wanted.order_by(events_table.c.created_at, events_table.c.id).limit(leases.BATCH)).all()
    count = _again(connection, rows, endpoints, now=now)
    return count, (rows[-1].created_at, rows[-1].id) if len(rows) == leases.BATCH else None


def replay_dead(connection: Connection, endpoints: Sequence[Endpoint], *, now: datetime) -> int:
    """Likewise up to BATCH dead letters; 0 where there are none any more."""
    by_id = {endpoint.id: endpoint for endpoint in endpoints}
    dead = select(table.c.event_id, table.c.endpoint_id).where(table.c.status == DEAD, table.c.endpoint_id.in_(by_id))
    rows = connection.execute(dead.limit(leases.BATCH)).all()
    return sum(fresh_again(connection, row.event_id, by_id[row.endpoint_id], now=now) for row in rows)


def dead_letters(connection: Connection, *, limit: int, endpoint_id: str | None = None) -> list[Row[Any]]:
    """What was given up, the latest first: columns of the delivery, and the event's type and subject."""
    wanted = (
        select(table, events_table.c.type, events_table.c.subject, webhook_endpoints.c.name.label("endpoint"))
        .join(events_table, events_table.c.id == table.c.event_id)
        .join(webhook_endpoints, webhook_endpoints.c.id == table.c.endpoint_id)
        .where(table.c.status == DEAD)
        .order_by(table.c.finished_at.desc(), table.c.event_id)
        .limit(limit)
    )
    if endpoint_id is not None:
        wanted = wanted.where(table.c.endpoint_id == endpoint_id)
    return list(connection.execute(wanted))


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """(id of an endpoint, status) -> deliveries."""
    grouped = select(table.c.endpoint_id, table.c.status, func.count()).group_by(table.c.endpoint_id, table.c.status)
    return {(endpoint, status): count for endpoint, status, count in connection.execute(grouped)}


def _again(connection: Connection, rows: Sequence[Row[Any]], endpoints: Sequence[Endpoint], *, now: datetime) -> int:
    return sum(fresh_again(connection, event_id, endpoint, now=now) for event_id, endpoint in _pairs(rows, endpoints))


def _pairs(rows: Sequence[Row[Any]], endpoints: Sequence[Endpoint]) -> Iterator[tuple[str, Endpoint]]:
    return ((row.id, endpoint) for row in rows for endpoint in endpoints if endpoint.wants(row.type))
