"""Migrations: to the form that the code has, once, whoever starts, and all or nothing."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.ddl.impl import DefaultImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Table, inspect, text

from pipeline.errors import ConfigError
from pipeline.schema import LabelSchema
from serving.store import corrections, records
from serving.store.corrections import Correction
from serving.store.database import Database, open_database
from serving.store.migrating import upgrade, version
from serving.store.records import NewFeedback
from serving.store.tables import metadata
from tests.stored_comments import NOON

NEWEST = "0009"


def test_the_tables_are_those_of_the_code(database: Database) -> None:
    found = database.read(
        lambda connection: compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), metadata
        )
    )
    assert found == []
    assert version(database) == NEWEST
    upgrade(database)
    assert version(database) == NEWEST


def test_several_may_start_at_once(store_url: str) -> None:
    failures: list[Exception] = []

    def start() -> None:
        database = open_database(store_url, timeout=10.0)
        try:
            upgrade(database)
        except Exception as error:
            failures.append(error)
        database.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_migration_that_fails_leaves_nothing_behind(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_database(store_url, timeout=2.0)
    made: list[object] = []

    def create_table(self: DefaultImpl, table: Table, **options: Any) -> None:
        made.append(table)
        assert len(made) < 4
        original(self, table, **options)

    original = DefaultImpl.create_table
    with monkeypatch.context() as patch:
        patch.setattr(DefaultImpl, "create_table", create_table)
        with pytest.raises(AssertionError):
            upgrade(database)
    assert database.read(lambda connection: inspect(connection).get_table_names()) == []
    upgrade(database)
    assert version(database) == NEWEST
    database.close()


def test_a_store_of_a_later_version_is_refused(database: Database) -> None:
    database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(ConfigError) as refused:
        upgrade(database)
    assert refused.value.code == "store_newer"
    assert refused.value.message == (
        "the store has version 9999 of the tables; install the fankui that made it, or newer"
    )


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("not a database, but long enough to be looked at" * 100, encoding="utf-8")
    database = open_database(str(tmp_path / "store.db"), timeout=1.0)
    with pytest.raises(ConfigError) as refused:
        upgrade(database)
    assert refused.value.code == "store_unavailable"
    assert "SQLITE_NOTADB" in refused.value.message
    database.close()


def test_comments_of_before_get_the_sentiment_that_holds(
    database: Database, make_new: Callable[..., NewFeedback], schema: LabelSchema
) -> None:
    def fill(connection: Connection) -> None:
        for identity in ("a", "b"):
            records.store(connection, make_new(identity))
        for minute, label in enumerate(("positive", "neutral")):
            row = records.find(connection, "b", lock=True)
            assert row is not None
            now = NOON + timedelta(minutes=minute)
            corrections.correct(connection, row, Correction("sentiment", label, "li"), schema=schema, now=now)
        before = (
            "DROP TABLE alerts",
            "DROP TABLE findings",
            "DROP TABLE calls",
            "DROP INDEX ix_feedback_call_due",
            *(f"ALTER TABLE feedback DROP COLUMN {name}" for name in ("priority", "called_back_at", "call_outcome")),
            "DROP INDEX ix_feedback_figures",
            "DROP INDEX ix_feedback_open",
            "ALTER TABLE feedback DROP COLUMN sentiment",
            "UPDATE alembic_version SET version_num = '0006'",
        )
        for statement in before:
            connection.execute(text(statement))

    database.write(fill)
    upgrade(database)
    found = database.read(lambda connection: list(connection.execute(text("SELECT id, sentiment FROM feedback"))))
    assert {row.id: row.sentiment for row in found} == {"a": "negative", "b": "neutral"}
