"""Signs messages as Standard Webhooks says: HMAC-SHA256 over id, time and body, one signature for each valid secret.

A receiver that knows any one of the secrets accepts the message, so that they can be changed without a gap.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"

_BYTES = 32  # the specification has 24 to 64


def new_secret() -> str:
    """256 random bits as they are shown to the receiver."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode("ascii")


def message_id(event_id: str, endpoint_id: str) -> str:
    """The same for every attempt, so that the receiver sees repeats; another one for another endpoint."""
    digest = hashlib.sha256(f"{event_id}\n{endpoint_id}".encode()).hexdigest()
    return f"msg_{digest[:40]}"


def signed_headers(message: str, body: bytes, *, keys: Iterable[str], now: datetime) -> dict[str, str]:
    """The headers of one attempt. `keys` are as `new_secret` gives them."""
    timestamp = str(int(now.timestamp()))
    content = f"{message}.{timestamp}.".encode() + body
    return {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(key, content) for key in keys),
    }


def _signature(key: str, content: bytes) -> str:
    raw = base64.b64decode(key.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(raw, content, hashlib.sha256).digest()).decode("ascii")
