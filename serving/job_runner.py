"""Works on jobs, one at a time, when nobody waits for an answer.

The job is held for some seconds at a time (serving/store/jobs.py). One model scores it from beginning to end, unless
the server is started anew in between; every line of its results names the version.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from models.batching import TOKEN_BUDGET
from pipeline.errors import ModelError
from pipeline.feedback import Feedback
from serving.active_model import ActiveModel
from serving.batcher import Outcome, cost
from serving.engine import Engine
from serving.job_rows import comments_in, results_out
from serving.problems import RequestProblem
from serving.scoring import merged
from serving.store import jobs
from serving.store.jobs import Chunk
from serving.store.threads import StoreThreads

_LOGGER = logging.getLogger("fankui.serving")

_PASS = TOKEN_BUDGET // 4
"""Tokens of one pass: as short as those that go ahead of all, some 7 ms, for a request may come just after it began."""

_STEP_BACK = 0.25  # seconds that a pass waits at the most while others are served: then one of theirs waits for it
_LOOK = 0.002  # seconds between two looks whether they still are
_TRIES = 5  # of a model that fails at all of a chunk
_RETRY = 2.0  # seconds before the next one, each time as much more


class JobRunner:
    """The part of a worker that works on jobs."""

    def __init__(self, engine: Engine, threads: StoreThreads, *, holder: str) -> None:
        self._engine = engine
        self._threads = threads
        self._holder = holder
        self._settings = engine.settings
        self._keep = timedelta(days=self._settings.keep_results_days)
        self._hold = timedelta(seconds=self._settings.job_hold_seconds)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    async def wait(self) -> None:
        """Until the next look."""
        try:
            async with asyncio.timeout(self._settings.job_seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def look(self) -> int:
        """Work on all jobs that wait, delete what is over; how many jobs were worked on. Raises StoreError."""
        count = 0
        while (row := await self._claim()) is not None:
            count += 1
            try:
                await self._work(row)
            except jobs.JobLost:
                _LOGGER.info("job_lost", extra={"fields": {"job": row.id}})
            await self._sweep()
        await self._sweep()
        return count

    async def _claim(self) -> Any | None:
        now = _now()
        if not await self._threads.read(lambda connection: jobs.waits(connection, holder=self._holder, now=now)):
            return None
        return await self._threads.write(
            lambda connection: jobs.claim(connection, holder=self._holder, now=now, hold=self._hold, keep=self._keep)
        )

    async def _sweep(self) -> None:
        now = _now()
        if not await self._threads.read(lambda connection: jobs.to_sweep(connection, now=now)):
            return
        while await self._threads.write(lambda connection: jobs.sweep(connection, now=now)):
            self._engine.metrics.job("expired")
        await self._threads.call(self._threads.database.overwrite_log)

    async def _work(self, row: Any) -> None:
        """Raises JobLost, StoreError."""
        active = self._engine.active
        for number in range(row.chunks_done, row.chunks):
            chunk = await self._threads.read(partial(jobs.comments_of, identity=row.id, number=number))
            if chunk is None:
                raise jobs.JobLost
            outcomes = await self._scored(row, chunk, active)
            if outcomes is None:
                await self._fail(row)
                return
            await self._keep_results(row, chunk, outcomes, active)
        self._ended(row.id, jobs.FINISHED)

    async def _keep_results(self, row: Any, chunk: Chunk, outcomes: Sequence[Outcome], active: ActiveModel) -> None:
        results = [outcome.result for outcome in outcomes]
        body = await asyncio.to_thread(results_out, chunk, results, model_version=active.version)
        failed = sum(outcome.error is not None for outcome in outcomes)
        await self._threads.write(
            lambda connection: jobs.done(
                connection,
                row.id,
                chunk,
                body,
                failed=failed,
                model=active.version,
                holder=self._holder,
                now=_now(),
                hold=self._hold,
                keep=self._keep,
            )
        )
        self._engine.metrics.job_rows(len(outcomes) - failed, failed)

    async def _scored(self, row: Any, chunk: Chunk, active: ActiveModel) -> list[Outcome] | None:
        """The outcomes of a chunk; None where the model fails at all of it, time and again."""
        entries = await asyncio.to_thread(comments_in, chunk)
        comments = [entry for entry in entries if isinstance(entry, Feedback)]
        for failures in range(_TRIES):
            outcomes = await self._passes(row, comments, active)
            if not outcomes or any(not isinstance(outcome.error, ModelError) for outcome in outcomes):
                together = merged(entries, outcomes)
                errors = together.errors
                return [Outcome(result, errors.get(i)) for i, result in enumerate(together.results)]
            await self._signed(row, asyncio.sleep(_RETRY * (failures + 1)))
        return None

    async def _passes(self, row: Any, comments: Sequence[Feedback], active: ActiveModel) -> list[Outcome]:
        outcomes: list[Outcome] = []
        signed = time.monotonic()
        for piece in _pieces(comments):
            while True:
                if time.monotonic() - signed > self._settings.job_hold_seconds / 5:
                    await self._sign(row)
                    signed = time.monotonic()
                await self._step_back()
                try:
                    outcomes += await self._engine.classify_later(piece, active, received=row.created_at)
                except RequestProblem:  # its turn did not come in time: the server is busy, and the job can wait
                    continue
                break
        return outcomes

    async def _step_back(self) -> None:
        deadline = time.monotonic() + _STEP_BACK
        while self._engine.busy and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK)

    async def _signed(self, row: Any, wait: Any) -> None:
        await wait
        await self._sign(row)

    async def _sign(self, row: Any) -> None:
        """A sign of life, so that nobody takes the job over. Raises JobLost."""
        until = _now() + self._hold
        await self._threads.write(lambda connection: jobs.prolong(connection, row.id, holder=self._holder, until=until))

    async def _fail(self, row: Any) -> None:
        def fail(connection: Any) -> None:
            jobs.fail(connection, row.id, error="model_failed", holder=self._holder, now=_now(), keep=self._keep)

        await self._threads.write(fail)
        self._ended(row.id, jobs.FAILED)

    def _ended(self, identity: str, status: str) -> None:
        self._engine.metrics.job(status)
        _LOGGER.info("job_ended", extra={"fields": {"job": identity, "status": status}})


def _pieces(comments: Sequence[Feedback]) -> Iterator[list[Feedback]]:
    """Comments for one pass each."""
    piece: list[Feedback] = []
    spent = 0
    for comment in comments:
        price = cost(comment.text)
        if piece and spent + price > _PASS:
            yield piece
            piece, spent = [], 0
        piece.append(comment)
        spent += price
    if piece:
        yield piece


def _now() -> datetime:
    return datetime.now(UTC)
