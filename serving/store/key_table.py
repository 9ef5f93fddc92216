"""API keys in the store, shared by all who use it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select, update

from serving.api_keys import ApiKey, Secret
from serving.store.database import Database
from serving.store.inserting import insert_new
from serving.store.tables import api_keys as table


class KeyTable:
    """The keys of a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def load(self) -> list[ApiKey]:
        """All keys, oldest first. Raises StoreError."""
        wanted = select(table).order_by(table.c.created_at, table.c.id)
        return [_key(row) for row in self.database.read(lambda connection: list(connection.execute(wanted)))]

    def put(self, key: ApiKey) -> None:
        """Add it, or replace the one with its id. Raises StoreError."""
        row = {
            "id": key.id,
            "name": key.name,
            "scopes": list(key.scopes),
            "rate": key.rate,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
            "secrets": [secret.to_dict() for secret in key.secrets],
        }

        def write(connection: Connection) -> None:
            if not insert_new(connection, table, row):
                # Revoked stays revoked, whoever read it before that happened.
                ended = func.coalesce(table.c.revoked_at, key.revoked_at, type_=table.c.revoked_at.type)
                connection.execute(update(table).where(table.c.id == key.id).values(**{**row, "revoked_at": ended}))

        self.database.write(write)

    def used(self, times: Mapping[str, datetime]) -> None:
        """Note when keys were used last. Raises StoreError."""

        def write(connection: Connection) -> None:
            for identity, time in sorted(times.items()):  # in one order, so that workers cannot lock each other out
                earlier = or_(table.c.last_used_at.is_(None), table.c.last_used_at < time)
                connection.execute(update(table).where(table.c.id == identity, earlier).values(last_used_at=time))

        self.database.write(write)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        created_at=row.created_at,
        secrets=tuple(Secret.from_dict(entry) for entry in row.secrets),
        rate=row.rate,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
