"""Ids of rows that nobody else named."""

import secrets
from datetime import datetime


def new_id(now: datetime) -> str:
    """32 hex characters that sort by time, so that an index grows at its end."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"
