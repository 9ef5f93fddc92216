"""When a message that was not received is sent again: the schedule of Standard Webhooks, 75 hours in all."""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELAYS = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""From the event, and then from each attempt, to the next. Without an answer to the last it is a dead letter."""

LONGEST_WAIT = timedelta(hours=24)
"""What a receiver may ask for at the most."""

_JITTER = 0.1  # of a delay, so that what failed at once does not come back at once


def next_attempt(
    attempts: int, *, now: datetime, wait: timedelta | None = None, chance: Callable[[], float] = random.random
) -> datetime | None:
    """When to try again after `attempts` failed; None where that was the last. `wait` is what the receiver asked for.

    `chance` gives numbers in [0, 1).
    """
    if attempts >= len(DELAYS):
        return None
    delay = DELAYS[attempts] * (1 + _JITTER * chance())
    return now + max(delay, min(wait or timedelta(0), LONGEST_WAIT))


def retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """The header Retry-After, seconds or a date (RFC 9110, 10.2.3); None where there is none that can be read."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:12])
        return min(timedelta(seconds=math.ceil(seconds)), LONGEST_WAIT) if seconds < 1e9 else LONGEST_WAIT
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    return max(timedelta(0), min(until - now, LONGEST_WAIT))
