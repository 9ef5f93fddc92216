"""Takes a job in: its key claimed, read, masked and put into the store chunk by chunk, and only then seen by anybody.

Each chunk is a transaction of its own, for one of 100,000 rows would keep all other writers waiting. What dies on the
way is deleted by whoever looks next (serving/store/jobs.py::sweep).
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from serving.engine import Engine
from serving.feedback_answers import dumps
from serving.job_answers import job, location_of_job
from serving.job_rows import Reading, chunks
from serving.problems import RequestProblem
from serving.recording import Answer
from serving.store import idempotency, jobs
from serving.store.database import StoreError
from serving.store.idempotency import Claim, InFlight, Key, Mismatch, Replay
from serving.store.ids import new_id
from serving.store.jobs import Chunk, Limits
from serving.store.threads import StoreThreads
from serving.uploads import Upload

_LOGGER = logging.getLogger("fankui.serving")
_HOLD = timedelta(seconds=60)  # that nothing may come of an upload; a chunk takes a second or two


class JobIntake:
    """Takes jobs in. One for each worker."""

    def __init__(self, engine: Engine, threads: StoreThreads, *, secret: bytes, queued: Callable[[], None]) -> None:
        """`queued` is called after each job that was taken in."""
        self._engine = engine
        self._threads = threads
        self._settings = engine.settings
        self._secret = secret
        self._queued = queued

    async def take(self, upload: Upload, *, owner: str, key: str | None, text_column: str, sheet: str | None) -> Answer:
        """Raises RequestProblem, StoreError; then there is nothing of it."""
        reading = Reading(
            text_column=text_column,
            sheet=sheet,
            max_rows=self._settings.max_job_rows,
            max_bytes=self._settings.max_job_bytes,
            tier_field=self._engine.policy.tier_field,
        )
        asked = "\n".join(("jobs", upload.kind, text_column, sheet or "", upload.digest))
        digest = hmac.new(self._secret, asked.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
        identity = new_id(_now())
        begun = await self._threads.write(lambda connection: self._begin(connection, identity, owner, key, digest))
        if isinstance(begun, Answer):
            return begun
        try:
            return await self._fill(identity, begun, chunks(upload, reading, busy=lambda: self._engine.busy))
        except BaseException as error:
            # Shielded: a client that leaves, or the server's end, must not leave half a job.
            await asyncio.shield(self._discard(identity, begun))
            if isinstance(error, jobs.JobLost | idempotency.ClaimLost):
                raise StoreError("upload_lost") from None  # it stood still for a minute, and was swept away
            raise

    def _begin(self, connection: Any, identity: str, owner: str, key: str | None, digest: str) -> Claim | Answer | None:
        """The claim of the key, if there is one, and a job without rows; or the answer that the key got before."""
        held: Claim | None = None
        if key is not None:
            token, now = secrets.token_hex(16), _now()
            found = idempotency.claim(connection, Key(owner, key), digest=digest, token=token, now=now, hold=_HOLD)
            if isinstance(found, Replay):
                return Answer(found.status, found.body, found.location or "", replayed=True)
            if isinstance(found, InFlight | Mismatch):
                raise _standing(found)
            held = found
        limits = Limits(self._settings.max_jobs, self._settings.max_jobs_bytes)
        full = jobs.create(connection, identity=identity, owner=owner, now=_now(), hold=_HOLD, limits=limits)
        if full == "jobs":
            detail = f"expected at most {limits.jobs} jobs at once; wait for one to end, or cancel it"
            raise RequestProblem("too_many_jobs", detail)
        if full == "bytes":
            detail = "the server keeps as many comments and results of jobs as it may; wait until some have expired"
            raise RequestProblem("jobs_full", detail)
        return held

    async def _fill(self, identity: str, held: Claim | None, found: Iterator[Chunk]) -> Answer:
        def add(connection: Any, chunk: Chunk) -> None:
            until = _now() + _HOLD
            jobs.add(connection, identity, chunk, until=until)
            if held is not None:
                idempotency.prolong(connection, held, until=until)

        def enqueue(connection: Any) -> tuple[Answer, int]:
            jobs.enqueue(connection, identity)
            row = jobs.find(connection, identity)
            answer = Answer(202, dumps(job(row)), location_of_job(identity))
            if held is not None:
                idempotency.finish(connection, held, status=202, body=answer.body, location=answer.location)
            return answer, 0 if row is None else row.total

        while (chunk := await asyncio.to_thread(next, found, None)) is not None:
            await self._threads.write(partial(add, chunk=chunk))
        answer, total = await self._threads.write(enqueue)
        _LOGGER.info("job_queued", extra={"fields": {"job": identity, "rows": total}})
        self._queued()
        return answer

    async def _discard(self, identity: str, held: Claim | None) -> None:
        def discard(connection: Any) -> None:
            jobs.discard(connection, identity)
            if held is not None:
                idempotency.release(connection, held)

        with suppress(StoreError, RuntimeError):  # the database is away, or the threads have ended: it is swept away
            await self._threads.write(discard)


def _standing(found: InFlight | Mismatch) -> RequestProblem:
    if isinstance(found, Mismatch):
        detail = "this Idempotency-Key was used for another body in the last 24 hours; use a new key for a new request"
        return RequestProblem("idempotency_mismatch", detail)
    detail = "another request with this Idempotency-Key is under way; wait as Retry-After says, and send it again"
    return RequestProblem("idempotency_in_flight", detail)


def _now() -> datetime:
    return datetime.now(UTC)
