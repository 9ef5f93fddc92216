"""Comments as the store gets them, without a model."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.schema import LabelSchema
from serving.store.records import NewFeedback

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # in Peking


def scored_comment(
    id: str,  # noqa: A002
    *,
    schema: LabelSchema,
    urgency: str = "low",
    category: str = "logistics",
    queue: str = "logistics",
    reasons: tuple[str, ...] = (),
    received_at: datetime = NOON,
    due: timedelta | None = timedelta(minutes=30),
    **changes: Any,
) -> NewFeedback:
    """A comment that was scored, due half an hour after noon."""
    labels = {"sentiment": "negative", "category": category, "urgency": urgency}
    result = {
        "id": id,
        "labels": {task: {"label": label, "probability": 0.9, "alternatives": []} for task, label in labels.items()},
        "aspects": [{"category": category, "polarity": "negative", "probability": 0.9, "satisfaction": 1.5}],
        "urgency_score": 0.5,
        "satisfaction": 1.5,
        "decision": {
            "queue": queue,
            "due_at": None if due is None else (received_at + due).isoformat(),
            "zone": "auto",
            "reasons": list(reasons),
        },
        "truncated": False,
        "windows": 1,
        "flags": [],
    }
    given = {
        "owner": "anonymous",
        "digest": f"digest of {id}",
        "customer_ref": "c1",
        "channel": "app",
        "tier": None,
        "text": "快递三天没到",
        "metadata": {},
        "created_at": received_at,
        "model_version": "small@1",
        "signals": {"contacts": 0, "duplicate_of": None, "similarity": None},
    }
    return NewFeedback(id=id, received_at=received_at, schema=schema, result=result, **{**given, **changes})
