"""Rows of the store in the forms of serving/feedback_shapes.py."""

from datetime import datetime
from typing import Any

import orjson

from serving.store import calls, corrections, statuses

_TIMES = (
    "created_at",
    "received_at",
    "due_at",
    "status_at",
    "responded_at",
    "resolved_at",
    "callback_due_at",
    "called_back_at",
    "overdue_at",
)
_PLAIN = (
    "id",
    "status",
    "signals",
    "model_version",
    "schema_version",
    "text",
    "customer_ref",
    "channel",
    "tier",
    "metadata",
    "category",
    "urgency",
    "priority",
    "escalation",
    "call_outcome",
)


def stored(row: Any) -> dict[str, Any]:
    """What a post is answered with; no text."""
    return {
        "id": row.id,
        "status": row.status,
        "received_at": iso(row.received_at),
        "result": {"id": row.id, **row.prediction, "decision": row.decision},
        "signals": row.signals,
        "model_version": row.model_version,
        "schema_version": row.schema_version,
    }


def summary(row: Any) -> dict[str, Any]:
    """A comment in a list."""
    body = {name: getattr(row, name) for name in _PLAIN} | {name: iso(getattr(row, name)) for name in _TIMES}
    return {**body, "result": {"id": row.id, **row.prediction, "decision": row.decision}}


def whole(connection: Any, row: Any) -> dict[str, Any]:
    """Everything of one comment."""
    return {
        **summary(row),
        "corrections": [correction(entry) for entry in corrections.of_feedback(connection, [row.id])],
        "history": [
            {
                "status": entry.status,
                "by": entry.by,
                "assignee": entry.assignee,
                "note": entry.note,
                "at": iso(entry.at),
            }
            for entry in statuses.history(connection, row.id)
        ],
        "calls": [
            {"outcome": entry.outcome, "by": entry.by, "note": entry.note, "at": iso(entry.at)}
            for entry in calls.of_feedback(connection, row.id)
        ],
    }


def correction(entry: Any) -> dict[str, Any]:
    """One correction."""
    names = ("id", "task", "label", "by", "why")
    return {name: getattr(entry, name) for name in names} | {"created_at": iso(entry.created_at)}


def dumps(body: Any) -> bytes:
    """JSON; integers of any size, which metadata may hold and orjson does not take, as text."""
    try:
        return orjson.dumps(body)
    except TypeError:
        import json

        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def iso(time: datetime | None) -> str | None:
    """As ISO 8601, in UTC, to the microsecond: what a filter is given back with."""
    return None if time is None else time.isoformat()
