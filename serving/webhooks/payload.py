"""What a message says: type, time, ids, labels and a path. No text of a comment: whoever may read it fetches it there.

A webhook passes through proxies, queues and logs that nobody here knows; masked text is still what a customer wrote.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from serving.store import events
from serving.store.ids import location_of

TEST = "webhook.test"


def payload(*, event_id: str, type_: str, subject: str, created_at: datetime, data: Mapping[str, Any]) -> bytes:
    """The body of a message, the same bytes at every attempt."""
    content = dict(data)
    if type_.startswith("feedback."):
        content["path"] = location_of(subject)
    body = {
        "type": type_,
        "timestamp": created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "event_id": event_id,
        "data": content,
    }
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def trial_payload(*, event_id: str, now: datetime) -> bytes:
    """Of a message that somebody sends to see whether it arrives."""
    return payload(event_id=event_id, type_=TEST, subject="", created_at=now, data={"types": list(events.TYPES)})
