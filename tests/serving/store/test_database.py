"""Opening, transactions, and what a database that fails is told as."""

import os
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from pipeline.errors import ConfigError
from serving.store.database import Database, StoreError, open_database
from serving.store.migrating import upgrade
from serving.store.tables import leases
from tests.postgresql import PostgresqlServer

TIME = func.current_timestamp()


def add(name: str) -> Any:
    row = {"name": name, "holder": "a", "held_until": TIME, "term": 1}
    return lambda connection: connection.execute(leases.insert().values(**row))


def count(database: Database) -> int | None:
    return database.read(lambda connection: connection.scalar(select(func.count()).select_from(leases)))


def test_what_is_written_is_there_and_what_raises_is_not(database: Database) -> None:
    database.write(add("one"))

    def fail(connection: Connection) -> None:
        add("two")(connection)
        raise KeyError

    with pytest.raises(KeyError):
        database.write(fail)
    assert count(database) == 1


def test_secrets_are_the_same_for_all(database: Database, store_url: str) -> None:
    other = open_database(store_url, timeout=2.0)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda d=d: found.append(d.secret("refs"))) for d in (database, other) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    assert database.secret("other") != found[0]


def test_sqlite_is_durable_and_nobody_elses(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "store.db"), timeout=2.0)
    upgrade(database)

    def pragmas(connection: Connection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert database.read(pragmas) == ["wal", 2, 1, 2000]
    database.write(add("one"))
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    database.close()


def test_a_locked_file_is_told_and_works_again_when_it_is_free(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "store.db"), timeout=0.2)
    upgrade(database)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(StoreError) as told:
        database.write(add("one"))
    assert 0.15 < time.monotonic() - started < 2
    assert (told.value.code, told.value.cause) == ("store_unavailable", "SQLITE_BUSY")
    assert count(database) == 0  # reading goes on beside a writer
    other.execute("ROLLBACK")
    database.write(add("one"))
    assert count(database) == 1
    other.close()
    database.close()


def test_a_full_disk_is_told_and_works_again_when_there_is_room(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "store.db"), timeout=0.2)
    upgrade(database)

    def limit(pages: int) -> None:
        # What SQLite says on a full disk, without one.
        driver = database.engine.raw_connection()
        driver.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]
        driver.close()

    limit(1)
    with pytest.raises(StoreError) as told:
        for i in range(1000):
            database.write(add(f"{i}{'x' * 20}"))
    assert told.value.cause == "SQLITE_FULL"
    limit(100_000)
    database.write(add("again"))
    database.close()


def test_a_cut_connection_is_told_once_and_replaced(postgresql: PostgresqlServer) -> None:
    database = open_database(postgresql.new_database(), timeout=2.0)
    upgrade(database)

    def cut_in_the_middle(connection: Connection) -> None:
        add("one")(connection)
        postgresql.stop()
        add("two")(connection)

    try:
        with pytest.raises(StoreError):
            database.write(cut_in_the_middle)
        with pytest.raises(StoreError):
            database.write(add("three"))
    finally:
        if postgresql.process is None:
            postgresql.start()
    assert count(database) == 0
    database.write(add("four"))
    assert count(database) == 1
    database.close()


@pytest.mark.parametrize(
    "target", ["mysql://u:geheim@h/n", "postgresql://u:geheim@h:port/n", "sqlite://", "://geheim", "http://geheim"]
)
def test_other_targets_are_refused_without_repeating_them(target: str) -> None:
    with pytest.raises(ConfigError) as refused:
        open_database(target, timeout=1.0)
    assert refused.value.code == "store_invalid"
    assert "geheim" not in refused.value.message


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"there is no folder {tmp_path / 'none'}; create it"):
        open_database(str(tmp_path / "none" / "store.db"), timeout=1.0)


def test_a_sqlite_url_is_a_path_too(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/store.db", timeout=1.0)
    upgrade(database)
    database.close()
    assert os.listdir(tmp_path) == ["store.db"]
