"""A migrated database of either kind, and comments to put into it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.schema import LabelSchema
from serving.store.database import Database, open_database
from serving.store.migrating import upgrade
from serving.store.records import NewFeedback

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # in Peking


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    found = open_database(store_url, timeout=2.0)
    upgrade(found)
    yield found
    found.close()


@pytest.fixture
def make_new(schema: LabelSchema) -> Callable[..., NewFeedback]:
    """`make_new("a1", urgency="critical", text="…")`: a comment that was scored, due half an hour after noon."""

    def make(
        id: str,  # noqa: A002
        *,
        urgency: str = "low",
        category: str = "logistics",
        queue: str = "logistics",
        reasons: tuple[str, ...] = (),
        received_at: datetime = NOON,
        due: timedelta | None = timedelta(minutes=30),
        **changes: Any,
    ) -> NewFeedback:
        labels = {"sentiment": "negative", "category": category, "urgency": urgency}
        result = {
            "id": id,
            "labels": {
                task: {"label": label, "probability": 0.9, "alternatives": []} for task, label in labels.items()
            },
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

    return make
