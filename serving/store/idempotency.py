"""Idempotency keys: one request is at work on a key, the others get its answer (draft-ietf-httpapi-idempotency-key).

A key is claimed in a transaction of its own before the model is asked, so that the claim holds for all workers, and is
done in the transaction that stores the comment. A claim whose holder died, or that lost its time, is taken over; who
comes back to it then cannot store anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from serving.store.inserting import insert_new
from serving.store.tables import idempotency_keys as table

KEPT = timedelta(hours=24)
"""How long a key is remembered; Stripe's figure."""


ERASED = 410
"""Status of the answer to a key whose comment was erased."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and whose it is."""

    owner: str
    key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that is ours until it is done, released, or too late."""

    key: Key
    token: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer that was given to the key."""

    status: int
    body: bytes
    location: str | None


@dataclass(frozen=True, slots=True)
class InFlight:
    """Somebody else is at work on it."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used for another request."""


class ClaimLost(Exception):  # noqa: N818  (an outcome: somebody else has taken the key over)
    """The claim ran out and was taken over; nothing may be stored under it."""


def claim(
    connection: Connection,
    key: Key,
    *,
    digest: str,
    token: str,
    now: datetime,
    hold: timedelta,
    abandoned: frozenset[str] = frozenset(),
) -> Claim | Replay | InFlight | Mismatch:
    """Take the key, or say what stands against it. `abandoned`: claims of this process that nobody works on."""
    row = {
        "owner": key.owner,
        "key": key.key,
        "body_digest": digest,
        "claim": token,
        "claimed_until": now + hold,
        "created_at": now,
    }
    if insert_new(connection, table, row):
        return Claim(key, token)
    found = connection.execute(select(table).where(_is(key)).with_for_update()).one_or_none()
    if found is None:  # it was released a moment ago
        return InFlight()
    done = found.status is not None
    if found.created_at + KEPT <= now or (not done and (found.claimed_until <= now or found.claim in abandoned)):
        fresh = {**row, "status": None, "body": None, "location": None}
        connection.execute(update(table).where(_is(key)).values(**fresh))
        return Claim(key, token)
    return _standing(found, digest)


def peek(connection: Connection, key: Key, *, digest: str, now: datetime) -> Replay | InFlight | Mismatch | None:
    """How it stands with a key, without taking it; None where it can be claimed."""
    found = connection.execute(select(table).where(_is(key))).one_or_none()
    if found is None or found.created_at + KEPT <= now or (found.status is None and found.claimed_until <= now):
        return None
    return _standing(found, digest)


def finish(connection: Connection, held: Claim, *, status: int, body: bytes, location: str | None) -> None:
    """Keep the answer for those who ask again. Raises ClaimLost."""
    values = {"status": status, "body": body, "location": location, "claim": None}
    if connection.execute(update(table).where(_held(held)).values(**values)).rowcount != 1:
        raise ClaimLost


def prolong(connection: Connection, held: Claim, *, until: datetime) -> None:
    """Keep the key for longer, as work that takes minutes has to. Raises ClaimLost."""
    if connection.execute(update(table).where(_held(held)).values(claimed_until=until)).rowcount != 1:
        raise ClaimLost


def release(connection: Connection, held: Claim) -> None:
    """Give the key back without an answer: the next one who comes does the work."""
    connection.execute(delete(table).where(_held(held)))


def close(connection: Connection, locations: Sequence[str]) -> None:
    """Forget the answers about comments that were erased, and remember that: trying again must not bring them back."""
    gone = {"status": ERASED, "body": b""}
    connection.execute(update(table).where(table.c.location.in_(locations)).values(**gone))


def forget_old(connection: Connection, *, now: datetime) -> int:
    """Delete keys beyond their time, and how many there were."""
    return connection.execute(delete(table).where(table.c.created_at <= now - KEPT)).rowcount


def _standing(found: Any, digest: str) -> Replay | InFlight | Mismatch:
    if found.body_digest != digest:
        return Mismatch()
    return InFlight() if found.status is None else Replay(found.status, bytes(found.body), found.location)


def _is(key: Key) -> ColumnElement[bool]:
    return and_(table.c.owner == key.owner, table.c.key == key.key)


def _held(held: Claim) -> ColumnElement[bool]:
    return and_(_is(held.key), table.c.claim == held.token)
