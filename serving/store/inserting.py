"""Inserts that say whether there was something already, in one statement, so that nobody can come between."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless its primary key is there already; whether it was inserted."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**row).on_conflict_do_nothing()
    # Not by the row count, which psycopg's cursor does not tell of inserts.
    return connection.execute(statement.returning(*table.primary_key.columns)).first() is not None
