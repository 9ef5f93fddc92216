"""Webhooks, dead letters and replays, as the command line and the routes tell and take them. No secret is in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from pipeline.errors import UsageError
from serving.store import endpoint_table, replaying
from serving.store.deliveries import DEAD, DELIVERED, PENDING
from serving.webhooks.endpoints import Endpoint, find_endpoint


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be sent again: one of the first three."""

    events: tuple[str, ...] = ()
    since: datetime | None = None
    dead: bool = False
    webhook: str | None = None  # name or id; None for all


def endpoint_dict(endpoint: Endpoint, counts: Mapping[tuple[str, str], int], *, now: datetime) -> dict[str, Any]:
    """A subscription as JSON, with how many messages there are of each status."""
    disabled = endpoint.disabled_at
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "url": endpoint.url,
        "types": list(endpoint.types),
        "state": "enabled" if disabled is None else f"disabled ({endpoint.disabled_why})",
        "created_at": endpoint.created_at.isoformat(),
        "disabled_at": None if disabled is None else disabled.isoformat(),
        "failures": endpoint.failures,
        "secrets": len(endpoint.held(now)),
        **{status: counts.get((endpoint.id, status), 0) for status in (PENDING, DELIVERED, DEAD)},
    }


def letter_dict(row: Any) -> dict[str, Any]:
    """A dead letter as JSON."""
    return {
        "event_id": row.event_id,
        "type": row.type,
        "subject": row.subject,
        "webhook": row.endpoint,
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_error": row.last_error,
        "given_up_at": row.finished_at.isoformat(),
    }


def read_since(value: str) -> datetime:
    """A time with its zone. Raises UsageError `webhook_replay_invalid`."""
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError
    except ValueError:
        raise UsageError(
            "webhook_replay_invalid", "--since: expected a time with its zone, such as 2026-03-02T08:00:00+08:00"
        ) from None
    return time


def replay_all(write: Callable[[Callable[[Any], Any]], Any], wanted: Wanted, *, now: datetime) -> int:
    """Do it, in transactions of a bounded size, each through `write`; how many messages that makes.

    Raises UsageError `webhook_unknown`.
    """
    chosen: list[Endpoint] = write(partial(_chosen, webhook=wanted.webhook))
    if wanted.events:
        return int(write(partial(replaying.replay_events, ids=wanted.events, endpoints=chosen, now=now)))
    total = 0
    if wanted.dead:
        while count := write(partial(replaying.replay_dead, endpoints=chosen, now=now)):
            total += count
        return total
    after: replaying.Cursor | None = None
    while wanted.since is not None:
        count, after = write(
            partial(replaying.replay_since, since=wanted.since, endpoints=chosen, after=after, now=now)
        )
        total += count
        if after is None:
            break
    return total


def _chosen(connection: Any, *, webhook: str | None) -> list[Endpoint]:
    known = endpoint_table.load(connection)
    return known if webhook is None else [find_endpoint(known, webhook)]
