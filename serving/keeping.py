"""The store as the application holds it: threads, the recorder, the clock, retention, and figures of what fails."""

import asyncio
import logging
import os
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from serving import sealing
from serving.engine import Engine
from serving.insights.watching import Watcher, is_wanted
from serving.job_intake import JobIntake
from serving.job_runner import JobRunner
from serving.metrics import Metrics
from serving.recording import Recorder
from serving.sealing import Seal
from serving.settings import ServeSettings
from serving.store import clock, erasing, jobs, leases
from serving.store.database import StoreError, open_database
from serving.store.deliveries import forget_events
from serving.store.migrating import upgrade
from serving.store.threads import StoreThreads
from serving.webhooks.addresses import Guard, read_networks
from serving.webhooks.delivering import Deliverer
from serving.webhooks.sending import Sender

_LOGGER = logging.getLogger("fankui.serving")


_COUNTED = {"jobs": "jobs", "retention_of_events": "events"}
"""What a look handles where it is no comments."""


class Keeper:
    """All that this process does with the store."""

    def __init__(self, engine: Engine, threads: StoreThreads, *, sender: Sender, seal: Seal | None = None) -> None:
        self.threads = threads
        self.seal = seal
        self.recorder = Recorder(engine, threads, seal=seal if engine.settings.keep_raw else None)
        self.zone = engine.policy.timezone
        self._metrics = engine.metrics
        self._settings = engine.settings
        # Of this process and this start: one that is started again does not take its predecessor's lease for its own.
        self.holder = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(8)}"
        self._deliverer = Deliverer(threads, sender, holder=self.holder, seal=seal, metrics=engine.metrics)
        self.runner = JobRunner(engine, threads, holder=self.holder)
        self.intake = JobIntake(engine, threads, secret=self.recorder.secret, queued=self.runner.wake)
        self.watcher = (
            Watcher(engine, threads, holder=self.holder)
            if is_wanted(engine.settings, engine.active.predictor.schema)
            else None
        )
        self._told: dict[str, str] = {}  # what failed -> the cause that was told

    async def run_clock(self) -> None:
        """Look every few seconds for what is overdue, until cancelled; one worker of all does it."""
        while True:
            await asyncio.sleep(self._settings.clock_seconds)
            await self.look()

    async def run_retention(self) -> None:
        """Erase what is too old, every few minutes, until cancelled; one worker of all does it.

        The first look comes with the clock's: a server that is started again every night has to get there too.
        """
        await asyncio.sleep(self._settings.clock_seconds)
        while True:
            await self.forget()
            await asyncio.sleep(self._settings.retention_seconds)

    async def run_webhooks(self) -> None:
        """Deliver events to whoever subscribed to them, until cancelled; one worker of all does it."""
        await self._deliverer.run(seconds=self._settings.webhook_seconds)

    async def run_jobs(self) -> None:
        """Work on jobs until cancelled; each is one worker's at a time."""
        while True:
            await self.runner.wait()
            await self._watched("jobs", self.runner.look)

    async def look(self) -> None:
        """One look at the clock; a store that is away is told once and tried again at the next."""

        async def all_that_is_due() -> int:
            await self.recorder.release_abandoned()
            total = 0
            while count := await self._tick():  # a clock that stood still has several things to say of one comment
                total += count
            return total

        await self._watched("clock", all_that_is_due)

    async def forget(self) -> None:
        """One look for what is too old, likewise: comments, where --keep-days says how old, and events."""

        async def comments() -> int:
            total = 0
            while count := await self._old(erasing.erase_old, self._settings.keep_days):
                total += count
                self._metrics.recorded("erased", count)
            if total:
                await self.threads.call(self.threads.database.overwrite_log)
            return total

        async def events() -> int:
            total = 0
            while count := await self._old(forget_events, self._settings.keep_events_days):
                total += count
            return total

        if self._settings.keep_days is not None:
            await self._watched("retention", comments)
        await self._watched("retention_of_events", events)

    async def _watched(self, name: str, work: Callable[[], Awaitable[int]]) -> None:
        try:
            total = await work()
        except StoreError as error:
            if error.cause != self._told.get(name):
                self._told[name] = error.cause
                _LOGGER.error(f"{name}_failed", extra={"fields": {"cause": error.cause}})
        except Exception as error:  # one bad row must not stop it for good
            _LOGGER.error(f"{name}_failed", extra={"fields": {"cause": type(error).__name__}})
        else:
            self._told.pop(name, None)
            if total:
                what = _COUNTED.get(name, "comments")
                _LOGGER.info(name, extra={"fields": {what: total}})

    async def check(self) -> None:
        """Whether the store can be written. Raises StoreError."""
        await self.threads.write(leases.probe)

    async def close(self) -> None:
        """Let another worker have the leases, finish what was begun, and close."""

        def give_up(connection: Any) -> None:
            jobs.give_up(connection, holder=self.holder, now=datetime.now(UTC))
            for name in (leases.CLOCK, leases.RETENTION, leases.INSIGHTS):
                leases.give_up(connection, name, holder=self.holder, now=datetime.now(UTC))

        await self._deliverer.close()
        try:
            await self.threads.write(give_up)
        except StoreError as error:
            _LOGGER.error("store_failed", extra={"fields": {"cause": error.cause}})
        await asyncio.to_thread(self.threads.close)

    async def _tick(self) -> int | None:
        now = datetime.now(UTC)
        happened: Counter[str] = Counter()
        count = await self.threads.write(
            lambda connection: clock.tick(connection, holder=self.holder, now=now, happened=happened)
        )
        for kind, events in happened.items():
            self._metrics.clock_told(kind, events)
        return count

    async def _old(self, work: Callable[..., int | None], days: float | None) -> int | None:
        now, keep = datetime.now(UTC), timedelta(days=days or 0.0)
        return await self.threads.write(lambda connection: work(connection, holder=self.holder, now=now, keep=keep))


def open_keeper(engine: Engine, settings: ServeSettings) -> Keeper:
    """The store that the settings name, migrated. Raises ConfigError."""
    # Without --keep-raw what was kept before can still be read.
    given = os.environ.get(sealing.VARIABLE)
    seal = sealing.read_keys(given) if settings.keep_raw or given else None
    sender = Sender(Guard(read_networks(settings.webhook_networks), http=settings.webhook_http))
    database = open_database(settings.store or "", timeout=settings.store_timeout)
    try:
        upgrade(database)
        threads = StoreThreads(database, failed=lambda cause: _failed(engine.metrics, cause))
        return Keeper(engine, threads, sender=sender, seal=seal)
    except BaseException:
        database.close()
        raise


def _failed(metrics: Metrics, cause: str) -> None:
    metrics.store_failed(cause)
    _LOGGER.error("store_failed", extra={"fields": {"cause": cause}})
