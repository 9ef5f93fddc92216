"""Jobs and their chunks in the database: one worker is at a job, and each chunk of it is done once.

    receiving -> queued -> running -> finished | failed | cancelled

A chunk's results, the count of what is done and the end of the job are one transaction that only the worker can make
that still holds the job. Who was killed lost the chunk that it was at, and nothing else; who was slow finds that it
lost the job. Comments and results are rows here and not files, because the database is the one place that all workers
share, on several hosts too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, text, update

from serving.store import events
from serving.store.tables import job_chunks
from serving.store.tables import jobs as table

RECEIVING, QUEUED, RUNNING = "receiving", "queued", "running"
FINISHED, FAILED, CANCELLED = "finished", "failed", "cancelled"
ENDED = (FINISHED, FAILED, CANCELLED)

MOST_ATTEMPTS = 5
"""Workers that may die at one chunk before its job is given up: it may be what kills them."""

CRASHED = "workers_crashed"

_LOCK = 0x6A6F6273  # "jobs"; of PostgreSQL's advisory locks
_SUMMARY = [column for column in table.c if column.name not in ("holder", "held_until")]


class JobLost(Exception):  # noqa: N818  (an outcome: it was cancelled, or another worker has it)
    """The job is not ours any more; nothing was written."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of a job, as they are kept."""

    number: int
    first_row: int  # from 1
    rows: int
    comments: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """What stands against a new job."""

    jobs: int  # of its owner, not ended yet
    bytes: int  # of all jobs


def create(
    connection: Connection,
    *,
    identity: str,
    owner: str,
    now: datetime,
    hold: timedelta,
    limits: Limits,
) -> str | None:
    """Begin a job that nobody sees yet; `jobs` or `bytes` where that limit stands against it."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
    open_ = select(func.count()).where(table.c.owner == owner, table.c.status.not_in(ENDED))
    if (connection.scalar(open_) or 0) >= limits.jobs:
        return "jobs"
    if (connection.scalar(select(func.sum(table.c.bytes))) or 0) >= limits.bytes:
        return "bytes"
    zeros = dict.fromkeys(("total", "done", "failed", "chunks", "chunks_done", "bytes", "attempts"), 0)
    row = {
        "id": identity,
        "owner": owner,
        "status": RECEIVING,
        "created_at": now,
        "held_until": now + hold,
        "models": [],
    }
    connection.execute(insert(table).values(**row, **zeros))
    return None


def add(connection: Connection, identity: str, chunk: Chunk, *, until: datetime) -> None:
    """Put the next chunk to a job that is being received. Raises JobLost."""
    counted = {
        "total": table.c.total + chunk.rows,
        "chunks": table.c.chunks + 1,
        "bytes": table.c.bytes + len(chunk.comments),
        "held_until": until,
    }
    _one(connection, and_(table.c.id == identity, table.c.status == RECEIVING, table.c.chunks == chunk.number), counted)
    row = {"job_id": identity, "number": chunk.number, "first_row": chunk.first_row, "rows": chunk.rows}
    connection.execute(insert(job_chunks).values(**row, comments=chunk.comments))


def enqueue(connection: Connection, identity: str) -> None:
    """All of it is here: from now on it is seen, and waits for a worker. Raises JobLost."""
    _one(connection, and_(table.c.id == identity, table.c.status == RECEIVING), {"status": QUEUED, "held_until": None})


def discard(connection: Connection, identity: str) -> None:
    """Take back what was received of a job that does not come about."""
    connection.execute(delete(table).where(table.c.id == identity, table.c.status == RECEIVING))


def waits(connection: Connection, *, holder: str, now: datetime) -> bool:
    """Whether there is a job to be claimed."""
    return connection.scalar(select(table.c.id).where(_free(holder, now)).limit(1)) is not None


def claim(connection: Connection, *, holder: str, now: datetime, hold: timedelta, keep: timedelta) -> Any | None:
    """The job that waits longest, ours for `hold`; None where there is none, or it was given up (see MOST_ATTEMPTS)."""
    oldest = select(table).where(_free(holder, now)).order_by(table.c.created_at, table.c.id).limit(1)
    row = connection.execute(oldest.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    attempts = row.attempts + (row.holder != holder)  # a store that was away is no crash
    if attempts > MOST_ATTEMPTS:
        _end(connection, row, FAILED, now=now, keep=keep, error=CRASHED)
        return None
    values = {
        "status": RUNNING,
        "started_at": row.started_at or now,
        "holder": holder,
        "held_until": now + hold,
        "attempts": attempts,
    }
    connection.execute(update(table).where(table.c.id == row.id).values(**values))
    return find(connection, row.id)


def prolong(connection: Connection, identity: str, *, holder: str, until: datetime) -> None:
    """A sign of life. Raises JobLost."""
    _one(connection, _held(identity, holder), {"held_until": until})


def give_up(connection: Connection, *, holder: str, now: datetime) -> None:
    """Let others take up at once what a worker that ends is at; it did not crash."""
    mine = update(table).where(table.c.holder == holder, table.c.status == RUNNING)
    connection.execute(mine.values(holder=None, held_until=now, attempts=0))


def drop(connection: Connection, *, holder: str, now: datetime) -> None:
    """Likewise what a worker was at that crashed, which counts against the job (see MOST_ATTEMPTS)."""
    mine = update(table).where(table.c.holder == holder, table.c.status == RUNNING)
    connection.execute(mine.values(held_until=now))


def comments_of(connection: Connection, identity: str, number: int) -> Chunk | None:
    """A chunk that is to be scored; None where there is none."""
    found = connection.execute(_chunk(identity, number)).one_or_none()
    if found is None or found.comments is None:
        return None
    return Chunk(found.number, found.first_row, found.rows, bytes(found.comments))


def results_of(connection: Connection, identity: str, number: int) -> bytes | None:
    """The results of a chunk, as they were given; None where they are not there (any more)."""
    found = connection.scalar(
        select(job_chunks.c.results).where(job_chunks.c.job_id == identity, job_chunks.c.number == number)
    )
    return None if found is None else bytes(found)


def done(
    connection: Connection,
    identity: str,
    chunk: Chunk,
    results: bytes,
    *,
    failed: int,
    model: str,
    holder: str,
    now: datetime,
    hold: timedelta,
    keep: timedelta,
) -> bool:
    """Keep a chunk's results and delete its comments; whether the job is finished with it. Raises JobLost."""
    held = and_(_held(identity, holder), table.c.chunks_done == chunk.number)
    row = connection.execute(select(table).where(held).with_for_update()).one_or_none()
    if row is None:
        raise JobLost
    values = {
        "done": row.done + chunk.rows,
        "failed": row.failed + failed,
        "chunks_done": chunk.number + 1,
        "bytes": row.bytes + len(results) - len(chunk.comments),
        "models": row.models if model in row.models else [*row.models, model],
        "attempts": 0,
        "held_until": now + hold,
    }
    _one(connection, held, values)
    mine = and_(job_chunks.c.job_id == identity, job_chunks.c.number == chunk.number)
    connection.execute(update(job_chunks).where(mine).values(comments=None, results=results))
    if chunk.number + 1 < row.chunks:
        return False
    _end(connection, find(connection, identity), FINISHED, now=now, keep=keep)
    return True


def fail(
    connection: Connection,
    identity: str,
    *,
    error: str,
    holder: str,
    now: datetime,
    keep: timedelta,
) -> None:
    """End a job that cannot be finished. Raises JobLost."""
    row = connection.execute(select(table).where(_held(identity, holder)).with_for_update()).one_or_none()
    if row is None:
        raise JobLost
    _end(connection, row, FAILED, now=now, keep=keep, error=error)


def cancel(connection: Connection, row: Any, *, now: datetime, keep: timedelta) -> None:
    """End a job whose row is locked; what is scored of it stays, the worker that is at it writes nothing more."""
    _end(connection, row, CANCELLED, now=now, keep=keep)


def find(connection: Connection, identity: str, *, lock: bool = False) -> Any | None:
    """A job, received or not."""
    wanted = select(table).where(table.c.id == identity)
    return connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()


def page(
    connection: Connection, *, owner: str | None, status: str | None, after: tuple[datetime, str] | None, limit: int
) -> Sequence[Any]:
    """Jobs of an owner, or of all where that is None, newest first."""
    conditions: list[ColumnElement[bool]] = [table.c.status != RECEIVING]
    if owner is not None:
        conditions.append(table.c.owner == owner)
    if status is not None:
        conditions.append(table.c.status == status)
    if after is not None:
        time, id_ = after
        behind = and_(table.c.created_at == time, table.c.id < id_)
        conditions.append(or_(table.c.created_at < time, behind))
    order = (table.c.created_at.desc(), table.c.id.desc())
    return connection.execute(select(*_SUMMARY).where(*conditions).order_by(*order).limit(limit)).all()


def sweep(connection: Connection, *, now: datetime) -> int:
    """Delete the results of one job whose time is over, and uploads that died on the way; how many results went."""
    connection.execute(delete(table).where(table.c.status == RECEIVING, table.c.held_until <= now))
    over = select(table.c.id).where(table.c.expires_at <= now, table.c.expired_at.is_(None)).limit(1)
    found = connection.scalar(over.with_for_update(skip_locked=True))
    if found is None:
        return 0
    connection.execute(delete(job_chunks).where(job_chunks.c.job_id == found))
    connection.execute(update(table).where(table.c.id == found).values(expired_at=now, bytes=0))
    return 1


def to_sweep(connection: Connection, *, now: datetime) -> bool:
    """Whether there is something for `sweep`."""
    dead = and_(table.c.status == RECEIVING, table.c.held_until <= now)
    over = and_(table.c.expires_at <= now, table.c.expired_at.is_(None))
    return connection.scalar(select(table.c.id).where(or_(dead, over)).limit(1)) is not None


def _end(
    connection: Connection, row: Any, status: str, *, now: datetime, keep: timedelta, error: str | None = None
) -> None:
    """Write how it ended, and the event that says so. What was not scored is deleted."""
    left = and_(job_chunks.c.job_id == row.id, job_chunks.c.results.is_(None))
    freed = connection.scalar(select(func.sum(func.length(job_chunks.c.comments))).where(left)) or 0
    connection.execute(delete(job_chunks).where(left))
    values = {
        "status": status,
        "error": error,
        "finished_at": now,
        "expires_at": now + keep,
        "bytes": max(0, row.bytes - freed),
        "holder": None,
        "held_until": None,
    }
    connection.execute(update(table).where(table.c.id == row.id).values(**values))
    data = {
        "job_id": row.id,
        "status": status,
        "total": row.total,
        "done": row.done,
        "failed": row.failed,
        "models": row.models,
        "error": error,
        "created_at": row.created_at.isoformat(),
        "finished_at": now.isoformat(),
    }
    events.record(connection, events.Event(events.JOB_FINISHED, row.id, data, now))


def _free(holder: str, now: datetime) -> ColumnElement[bool]:
    # What is ours and comes up here was dropped when the store was away.
    dropped = and_(table.c.status == RUNNING, or_(table.c.held_until <= now, table.c.holder == holder))
    return or_(table.c.status == QUEUED, dropped)


def _held(identity: str, holder: str) -> ColumnElement[bool]:
    return and_(table.c.id == identity, table.c.holder == holder, table.c.status == RUNNING)


def _chunk(identity: str, number: int) -> Any:
    return select(job_chunks).where(job_chunks.c.job_id == identity, job_chunks.c.number == number)


def _one(connection: Connection, condition: ColumnElement[bool], values: dict[str, Any]) -> None:
    if connection.execute(update(table).where(condition).values(**values)).rowcount != 1:
        raise JobLost
