"""API keys in the store, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from serving.api_keys import new_key, rotated
from serving.store.database import Database
from serving.store.key_table import KeyTable

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_keys_are_put_replaced_and_noted(database: Database) -> None:
    shelf = KeyTable(database)
    assert shelf.load() == []
    first, shown = new_key("店铺", ["score", "read"], now=NOW, rate=60, expires_at=NOW + HOUR)
    second, _ = new_key("b", ["admin"], now=NOW + HOUR)
    shelf.put(first)
    shelf.put(second)
    assert shelf.load() == [first, second]
    changed, _ = rotated(first, now=NOW, overlap=HOUR / 2)
    shelf.put(changed)
    shelf.used({first.id: NOW, "unknown": NOW})
    shelf.used({first.id: NOW - HOUR})  # another worker's, late
    assert shelf.load() == [replace(changed, last_used_at=NOW), second]
    rows = database.read(lambda connection: str(connection.execute(text("SELECT * FROM api_keys")).all()))
    assert shown not in rows


def test_revoked_stays_revoked(database: Database) -> None:
    shelf = KeyTable(database)
    key, _ = new_key("a", ["score"], now=NOW)
    shelf.put(key)
    shelf.put(replace(key, revoked_at=NOW))
    shelf.put(rotated(key, now=NOW, overlap=HOUR)[0])  # by somebody who had read it before
    assert shelf.load()[0].revoked_at == NOW
