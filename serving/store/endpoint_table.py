"""Webhooks' subscriptions in the store."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from pipeline.errors import UsageError
from serving.store.inserting import insert_new
from serving.store.tables import webhook_endpoints as table
from serving.webhooks.endpoints import Endpoint, SigningSecret


def load(connection: Connection) -> list[Endpoint]:
    """All subscriptions, oldest first."""
    return [_endpoint(row) for row in connection.execute(select(table).order_by(table.c.created_at, table.c.id))]


def add(connection: Connection, endpoint: Endpoint) -> None:
    """Keep a new one. Raises UsageError `webhook_exists` where its name is taken."""
    row = {
        "id": endpoint.id,
        "name": endpoint.name,
        "url": endpoint.url,
        "types": list(endpoint.types),
        "secrets": [secret.to_dict() for secret in endpoint.secrets],
        "created_at": endpoint.created_at,
        "failures": 0,
    }
    if not insert_new(connection, table, row):
        raise UsageError(
            "webhook_exists", f"there is a webhook named {endpoint.name} already; remove it, or use another name"
        )


def put_secrets(connection: Connection, endpoint: Endpoint) -> None:
    """Keep its secrets in place of those that are there."""
    found = [secret.to_dict() for secret in endpoint.secrets]
    connection.execute(update(table).where(table.c.id == endpoint.id).values(secrets=found))


def disable(connection: Connection, identity: str, *, why: str, now: datetime) -> bool:
    """Send it nothing until it is enabled again; False where that is so already."""
    on = update(table).where(table.c.id == identity, table.c.disabled_at.is_(None))
    return connection.execute(on.values(disabled_at=now, disabled_why=why)).rowcount == 1


def enable(connection: Connection, identity: str) -> None:
    """Go on with what waits, at once."""
    fresh = {"disabled_at": None, "disabled_why": None, "failures": 0, "wait_until": None}
    connection.execute(update(table).where(table.c.id == identity).values(**fresh))


def remove(connection: Connection, identity: str) -> None:
    """Forget it, with all that waits for it and its dead letters."""
    connection.execute(delete(table).where(table.c.id == identity))


def received(connection: Connection, identity: str) -> None:
    """It is well."""
    ill = update(table).where(table.c.id == identity, table.c.failures > 0)
    connection.execute(ill.values(failures=0, wait_until=None))


def failed(connection: Connection, identity: str, *, wait_until: datetime | None) -> None:
    """An attempt failed; nothing is sent to it before `wait_until`."""
    more: dict[str, Any] = {"failures": table.c.failures + 1}
    if wait_until is not None:
        more["wait_until"] = wait_until
    connection.execute(update(table).where(table.c.id == identity).values(**more))


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(
        id=row.id,
        name=row.name,
        url=row.url,
        types=tuple(row.types),
        secrets=tuple(SigningSecret.from_dict(entry) for entry in row.secrets),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        disabled_why=row.disabled_why,
        failures=row.failures,
        wait_until=row.wait_until,
    )
