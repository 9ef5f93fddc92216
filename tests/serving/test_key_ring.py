"""Keys as a worker knows them: new ones at once, revoked ones for a moment, the store being away."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.api_keys import ApiKey, find_key, new_key
from serving.key_file import KeyFile
from serving.key_ring import KeyRing
from serving.store.database import Database, StoreError, open_database
from serving.store.key_table import KeyTable
from serving.store.migrating import upgrade

NOW = datetime.now(UTC)


class Watched(KeyFile):
    """A file that counts how often it is read, and can be away."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, must_exist=False)
        self.loads = 0
        self.away = False

    def load(self) -> list[ApiKey]:
        self.loads += 1
        if self.away:
            raise StoreError("gone")
        return super().load()


@pytest.fixture
def file(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "keys.json")


def test_known_keys_cost_no_look(file: Watched) -> None:
    key, shown = new_key("a", ["score"], now=NOW)
    file.put(key)
    ring = KeyRing(file, seconds=60)
    file.loads = 0

    async def ask() -> None:
        assert [(await ring.find(shown.encode())) == key for _ in range(1000)] == [True] * 1000

    asyncio.run(ask())
    assert file.loads == 0


def test_unknown_keys_cause_one_look_a_second(file: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing(file, seconds=60)
    assert not ring.asked
    monkeypatch.setattr("serving.key_ring._LEAST", 0.2)
    key, shown = new_key("a", ["score"], now=NOW)
    file.put(key)
    file.loads = 0
    _, stranger = new_key("b", ["score"], now=NOW)

    async def ask() -> None:
        await asyncio.sleep(0.25)
        assert await ring.find(b"fk_nonsense") is None
        assert file.loads == 0
        found = await asyncio.gather(*(ring.find(shown.encode()) for _ in range(50)))
        assert found == [key] * 50
        strangers = await asyncio.gather(*(ring.find(stranger.encode()) for _ in range(50)))
        assert strangers == [None] * 50

    asyncio.run(ask())
    assert file.loads == 1
    assert ring.asked


def test_a_revoked_key_is_refused_soon_and_keys_are_asked_for_ever_after(file: Watched) -> None:
    key, shown = new_key("a", ["score"], now=NOW)
    file.put(key)
    ring = KeyRing(file, seconds=0.05)

    async def ask() -> None:
        looking = asyncio.create_task(ring.run())
        assert await ring.find(shown.encode()) == key
        file.put(replace(key, revoked_at=NOW))
        await asyncio.sleep(0.3)
        assert await ring.find(shown.encode()) is None
        looking.cancel()

    asyncio.run(ask())
    assert (ring.asked, ring.usable()) == (True, False)


def test_without_a_task_that_looks_requests_do(file: Watched) -> None:
    key, shown = new_key("a", ["score"], now=NOW)
    file.put(key)
    ring = KeyRing(file, seconds=0.02)
    file.put(replace(key, revoked_at=NOW))

    async def ask() -> None:
        await asyncio.sleep(0.1)
        assert await ring.find(shown.encode()) is None

    asyncio.run(ask())


def test_keys_hold_while_the_store_is_away(file: Watched, caplog: pytest.LogCaptureFixture) -> None:
    key, shown = new_key("a", ["score"], now=NOW)
    file.put(key)
    ring = KeyRing(file, seconds=0.02)
    file.away = True

    async def ask() -> None:
        for _ in range(3):
            await asyncio.sleep(0.05)
            assert await ring.find(shown.encode()) == key
        await ring.close()

    asyncio.run(ask())
    told = [record for record in caplog.records if record.getMessage() == "keys_failed"]
    assert [record.fields for record in told] == [{"cause": "gone"}]  # type: ignore[attr-defined]


@pytest.fixture
def database(store_url: str) -> Database:
    return open_database(store_url, timeout=5)


def test_use_is_noted_in_the_store(database: Database) -> None:
    upgrade(database)
    shelf = KeyTable(database)
    key, shown = new_key("a", ["score"], now=NOW)
    shelf.put(key)
    ring = KeyRing(shelf, seconds=60)

    async def ask() -> None:
        await ring.find(shown.encode())
        await ring.close()

    asyncio.run(ask())
    noted = find_key(shelf.load(), "a").last_used_at
    assert noted is not None
    assert noted >= NOW
    database.close()
