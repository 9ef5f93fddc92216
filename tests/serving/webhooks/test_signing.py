"""Signatures as the specification has them, and the schedule's arithmetic."""

import base64
import random
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from serving.webhooks.schedule import DELAYS, LONGEST_WAIT, next_attempt, retry_after
from serving.webhooks.signing import message_id, new_secret, signed_headers

NOW = datetime(2021, 2, 25, 14, 36, 50, tzinfo=UTC)


def test_a_known_message_has_a_known_signature() -> None:
    """The vector of the reference libraries' own tests."""
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        keys=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        now=datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_signatures_are_those_of_the_reference_package() -> None:
    chance = random.Random(1)
    for _ in range(50):
        secret, body = new_secret(), chance.randbytes(chance.randrange(200)).hex()
        now = NOW + timedelta(seconds=chance.randrange(10**6))
        headers = signed_headers("msg_x", body.encode(), keys=[secret], now=now)
        assert headers["webhook-signature"] == Webhook(secret).sign("msg_x", now, body)


def test_secrets_have_256_bits_and_ids_no_dot() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32
    assert message_id("evt_1", "a") == message_id("evt_1", "a") != message_id("evt_1", "b")
    assert "." not in message_id("evt.1", "a.b")


def test_the_schedule_takes_75_hours_and_jitters_by_a_tenth() -> None:
    assert sum(DELAYS, timedelta(0)) == timedelta(hours=75, minutes=35, seconds=5)
    for attempts in range(1, 10):
        assert next_attempt(attempts, now=NOW, chance=lambda: 0.0) == NOW + DELAYS[attempts]
        latest = next_attempt(attempts, now=NOW, chance=lambda: 0.999999)
        assert latest is not None
        assert NOW + 1.09 * DELAYS[attempts] < latest <= NOW + 1.1 * DELAYS[attempts]
    assert next_attempt(10, now=NOW) is None
    assert next_attempt(11, now=NOW) is None


@pytest.mark.parametrize(("value", "seconds"), [
    (None, None), ("", None), ("7", 7), (" 7 ", 7), ("0", 0), ("-1", None), ("1.5", None), ("１", None),
    ("x" * 9999, None), ("9" * 5000, 86400),
    ("Thu, 25 Feb 2021 14:37:50 GMT", 60), ("Thu, 25 Feb 2021 14:30:00 GMT", 0),
    ("Thu, 25 Feb 2999 14:30:00 GMT", 86400), ("Thu, 25 Feb 2021 14:37:50 -0000", 60),
])  # fmt: skip
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: int | None) -> None:
    found = retry_after(value, now=NOW)
    assert found == (None if seconds is None else timedelta(seconds=seconds))
    assert found is None or found <= LONGEST_WAIT
