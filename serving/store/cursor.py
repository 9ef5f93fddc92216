"""Where a list goes on: opaque to clients, who are not to build or read it."""

import base64
import binascii
import json
from datetime import UTC, datetime

from pipeline.errors import FeedbackError


def encode(received_at: datetime, id: str) -> str:  # noqa: A002
    """The cursor behind the comment with that time and id."""
    plain = json.dumps([received_at.astimezone(UTC).isoformat(), id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).decode("ascii").rstrip("=")


def decode(cursor: str) -> tuple[datetime, str]:
    """The inverse. Raises FeedbackError `invalid_cursor`."""
    try:
        plain = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        time, id_ = json.loads(plain)
        received_at = datetime.fromisoformat(time)
        if not isinstance(id_, str) or "\0" in id_ or received_at.tzinfo is None:
            raise ValueError
        id_.encode()
        return received_at.astimezone(UTC), id_
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise FeedbackError(
            "invalid_cursor", "expected the `next` of the page before; found something else; start without a cursor"
        ) from None
