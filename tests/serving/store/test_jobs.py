"""Who may do what with a job in the database: one worker at a time, each chunk once."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from serving.store import jobs, tables
from serving.store.database import Database, open_database
from serving.store.jobs import Chunk, JobLost, Limits
from serving.store.migrating import upgrade

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOLD, KEEP = timedelta(seconds=15), timedelta(days=7)
CHUNKS = [Chunk(0, 1, 2, b"aaaa"), Chunk(1, 3, 2, b"bbbb")]


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    opened = open_database(store_url, timeout=5)
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def make_job(database: Database) -> Callable[..., str]:
    def make(identity: str = "j1", *, queued: bool = True) -> str:
        def build(connection: Any) -> None:
            limits = Limits(jobs=9, bytes=1000)
            assert jobs.create(connection, identity=identity, owner="o", now=NOW, hold=HOLD, limits=limits) is None
            for chunk in CHUNKS:
                jobs.add(connection, identity, chunk, until=NOW + HOLD)
            if queued:
                jobs.enqueue(connection, identity)

        database.write(build)
        return identity

    return make


def claim(database: Database, holder: str, now: datetime = NOW) -> Any:
    return database.write(lambda connection: jobs.claim(connection, holder=holder, now=now, hold=HOLD, keep=KEEP))


def done(database: Database, number: int, holder: str, now: datetime = NOW) -> bool:
    named = {"failed": 1, "model": f"m-{holder}", "holder": holder, "now": now, "hold": HOLD, "keep": KEEP}
    return database.write(lambda connection: jobs.done(connection, "j1", CHUNKS[number], b"result", **named))


def find(database: Database) -> Any:
    return database.read(lambda connection: jobs.find(connection, "j1"))


def test_a_job_is_one_workers_until_its_time_is_over(database: Database, make_job: Callable[..., str]) -> None:
    make_job()
    assert claim(database, "a").id == "j1"
    assert claim(database, "b", NOW + HOLD - timedelta(seconds=1)) is None
    assert done(database, 0, "a") is False
    later = NOW + HOLD
    assert claim(database, "b", later).chunks_done == 1
    with pytest.raises(JobLost):
        done(database, 1, "a", later)
    assert done(database, 1, "b", later) is True
    with pytest.raises(JobLost):
        done(database, 1, "b", later)
    row = find(database)
    assert (row.status, row.done, row.failed, row.models, row.bytes) == ("finished", 4, 2, ["m-a", "m-b"], 12)
    assert claim(database, "c", later + HOLD) is None


def test_what_a_dead_worker_was_at_is_free_at_once_and_counts(database: Database, make_job: Callable[..., str]) -> None:
    make_job()
    assert claim(database, "a").attempts == 1
    soon = NOW + timedelta(seconds=1)
    database.write(lambda connection: jobs.drop(connection, holder="b", now=soon))
    assert claim(database, "b", soon) is None
    database.write(lambda connection: jobs.drop(connection, holder="a", now=soon))
    assert claim(database, "b", soon).attempts == 2
    database.write(lambda connection: jobs.drop(connection, holder="a", now=soon))  # it is b's by now
    assert claim(database, "c", soon) is None


def test_chunks_are_done_in_order_and_once(database: Database, make_job: Callable[..., str]) -> None:
    make_job()
    claim(database, "a")
    with pytest.raises(JobLost):
        done(database, 1, "a")
    assert done(database, 0, "a") is False
    with pytest.raises(JobLost):
        done(database, 0, "a")
    assert find(database).done == 2


def test_a_job_that_kills_its_workers_is_given_up(database: Database, make_job: Callable[..., str]) -> None:
    make_job()
    now = NOW
    for attempt in range(jobs.MOST_ATTEMPTS):
        assert claim(database, f"w{attempt}", now) is not None
        now += HOLD
    assert claim(database, "last", now) is None
    row = find(database)
    assert (row.status, row.error, row.bytes) == ("failed", "workers_crashed", 0)
    (event,) = database.read(lambda connection: connection.execute(select(tables.events)).all())
    assert (event.type, event.data["error"]) == ("job.finished", "workers_crashed")


def test_progress_a_store_that_was_away_and_a_stop_are_no_crashes(
    database: Database, make_job: Callable[..., str]
) -> None:
    make_job()
    for _ in range(9):
        assert claim(database, "a") is not None
    assert find(database).attempts == 1
    for holder in ("b", "c", "d", "e", "f", "g"):
        database.write(lambda connection, holder=holder: jobs.give_up(connection, holder="a", now=NOW))
        database.write(lambda connection, holder=holder: jobs.give_up(connection, holder=holder, now=NOW))
        assert claim(database, holder) is not None
        database.write(lambda connection, holder=holder: jobs.give_up(connection, holder=holder, now=NOW))
    assert claim(database, "a") is not None
    done(database, 0, "a")
    assert find(database).attempts == 0


def test_an_upload_that_died_is_swept_away_and_cannot_go_on(database: Database, make_job: Callable[..., str]) -> None:
    make_job(queued=False)
    assert claim(database, "a") is None
    assert database.read(lambda connection: jobs.page(connection, owner=None, status=None, after=None, limit=9)) == []
    for now, left in ((NOW + HOLD - timedelta(seconds=1), 2), (NOW + HOLD, 0)):
        assert database.read(lambda connection, now=now: jobs.to_sweep(connection, now=now)) is (left == 0)
        database.write(lambda connection, now=now: jobs.sweep(connection, now=now))
        chunks = database.read(lambda connection: connection.execute(select(tables.job_chunks)).all())
        assert len(chunks) == left
    with pytest.raises(JobLost):
        database.write(lambda connection: jobs.enqueue(connection, "j1"))
