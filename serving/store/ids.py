"""Ids of rows that nobody else named, and where a comment is found by its own."""

import secrets
from datetime import datetime
from urllib.parse import quote


def new_id(now: datetime) -> str:
    """32 hex characters that sort by time, so that an index grows at its end."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def location_of(id: str) -> str:  # noqa: A002
    """The path of a comment."""
    return f"/v1/feedback/{quote(id, safe='')}"
