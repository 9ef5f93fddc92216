"""Inserts that say whether there was something already, in one statement, so that nobody can come between."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bool:
    """Insert what is not there yet by its primary key; whether anything was inserted."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = [dict(row) for row in ([rows] if isinstance(rows, Mapping) else rows)]
    return connection.execute(insert(table).values(values).on_conflict_do_nothing()).rowcount > 0
