"""Sends a webhook one message of type webhook.test, past the store."""

import time
from datetime import UTC, datetime

from serving.sealing import Seal
from serving.store.ids import new_id
from serving.webhooks.addresses import Guard
from serving.webhooks.endpoints import Endpoint, SecretSealed, signing_keys
from serving.webhooks.payload import trial_payload
from serving.webhooks.sending import Outcome, Sender
from serving.webhooks.signing import message_id, signed_headers


async def try_endpoint(endpoint: Endpoint, *, guard: Guard, seal: Seal | None) -> tuple[Outcome, float]:
    """What came back, and after how many seconds."""
    now = datetime.now(UTC)
    try:
        keys = signing_keys(endpoint, now=now, seal=seal)
    except SecretSealed:
        return Outcome("secret_sealed"), 0.0
    event_id = f"evt_{new_id(now)}"
    body = trial_payload(event_id=event_id, now=now)
    headers = signed_headers(message_id(event_id, endpoint.id), body, keys=keys, now=now)
    sender = Sender(guard)
    started = time.monotonic()
    try:
        outcome = await sender.send(endpoint.url, body, headers=headers)
        return outcome, time.monotonic() - started
    finally:
        await sender.close()
