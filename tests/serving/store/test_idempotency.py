"""Who holds a key, who gets the answer, and when it can be taken over."""

from datetime import timedelta
from typing import Any

import pytest

from serving.store import idempotency
from serving.store.database import Database
from serving.store.idempotency import Claim, ClaimLost, InFlight, Key, Mismatch, Replay
from tests.stored_comments import NOON

KEY = Key("anonymous", "k")
HOLD = timedelta(seconds=35)


def claim(database: Database, *, key: Key = KEY, token: str = "t1", after: float = 0.0, **options: Any) -> Any:
    given = {"digest": "d", "now": NOON + timedelta(seconds=after), "hold": HOLD, **options}
    return database.write(lambda connection: idempotency.claim(connection, key, token=token, **given))


def finish(database: Database, held: Claim) -> None:
    answer = {"status": 201, "body": b"{}", "location": "/v1/feedback/a"}
    database.write(lambda connection: idempotency.finish(connection, held, **answer))  # type: ignore[arg-type]


def peek(database: Database, *, digest: str = "d", after: float = 0.0) -> Any:
    now = NOON + timedelta(seconds=after)
    return database.read(lambda connection: idempotency.peek(connection, KEY, digest=digest, now=now))


def test_one_works_and_the_others_get_its_answer(database: Database) -> None:
    assert peek(database) is None
    held = claim(database)
    assert held == Claim(KEY, "t1")
    assert claim(database, token="t2") == peek(database) == InFlight()
    assert claim(database, token="t2", digest="other") == peek(database, digest="other") == Mismatch()
    finish(database, held)
    assert claim(database, token="t3") == peek(database) == Replay(201, b"{}", "/v1/feedback/a")
    assert claim(database, token="t3", digest="other") == Mismatch()


def test_keys_of_others_are_their_own(database: Database) -> None:
    claim(database)
    assert isinstance(claim(database, key=Key("0f3a", "k"), token="t2"), Claim)


def test_a_key_that_was_released_is_free(database: Database) -> None:
    held = claim(database)
    database.write(lambda connection: idempotency.release(connection, held))
    assert isinstance(claim(database, token="t2", digest="other"), Claim)


def test_who_died_loses_the_claim_and_cannot_finish_it(database: Database) -> None:
    held = claim(database)
    assert claim(database, token="t2", after=34.9) == InFlight()
    assert peek(database, after=35) is None
    assert claim(database, token="t2", after=35) == Claim(KEY, "t2")
    with pytest.raises(ClaimLost):
        finish(database, held)
    database.write(lambda connection: idempotency.release(connection, held))  # nor take it from the other
    assert claim(database, token="t3", after=36) == InFlight()


def test_an_abandoned_claim_is_taken_over_at_once(database: Database) -> None:
    claim(database)
    assert claim(database, token="t2", after=1, abandoned=frozenset({"t9"})) == InFlight()
    assert claim(database, token="t2", after=1, abandoned=frozenset({"t1"})) == Claim(KEY, "t2")


def test_after_24_hours_it_is_a_new_key(database: Database) -> None:
    day = 24 * 3600
    finish(database, claim(database))
    assert isinstance(claim(database, token="t2", after=day - 1), Replay)
    assert peek(database, after=day) is None
    assert claim(database, token="t2", after=day, digest="other") == Claim(KEY, "t2")


def test_old_keys_are_deleted(database: Database) -> None:
    finish(database, claim(database))
    claim(database, key=Key("anonymous", "later"), after=3600)
    assert database.write(lambda c: idempotency.forget_old(c, now=NOON + timedelta(hours=24))) == 1
    assert database.write(lambda c: idempotency.forget_old(c, now=NOON + timedelta(hours=26))) == 1
