"""The store as the application holds it: threads, the recorder, the clock, and figures of what fails."""

import asyncio
import logging
import os
import secrets
import socket
from datetime import UTC, datetime

from serving.engine import Engine
from serving.metrics import Metrics
from serving.recording import Recorder
from serving.settings import ServeSettings
from serving.store import clock, leases
from serving.store.database import StoreError, open_database
from serving.store.migrating import upgrade
from serving.store.threads import StoreThreads

_LOGGER = logging.getLogger("fankui.serving")


class Keeper:
    """All that this process does with the store."""

    def __init__(self, engine: Engine, threads: StoreThreads) -> None:
        self.threads = threads
        self.recorder = Recorder(engine, threads)
        self._seconds = engine.settings.clock_seconds
        # Of this process and this start: one that is started again does not take its predecessor's lease for its own.
        self._holder = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(8)}"
        self._told = ""

    async def run_clock(self) -> None:
        """Look every few seconds for what is overdue, until cancelled; one worker of all does it."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.look()

    async def look(self) -> None:
        """One look; a store that is away is told once and tried again at the next."""
        try:
            await self.recorder.release_abandoned()
            total = 0
            while count := await self._tick():  # a clock that stood still has several things to say of one comment
                total += count
        except StoreError as error:
            if error.cause != self._told:
                self._told = error.cause
                _LOGGER.error("clock_failed", extra={"fields": {"cause": error.cause}})
        except Exception as error:  # one bad row must not stop the clock for good
            _LOGGER.error("clock_failed", extra={"fields": {"cause": type(error).__name__}})
        else:
            self._told = ""
            if total:
                _LOGGER.info("clock", extra={"fields": {"comments": total}})

    async def check(self) -> None:
        """Whether the store can be written. Raises StoreError."""
        await self.threads.write(leases.probe)

    async def close(self) -> None:
        """Let another worker have the clock, finish what was begun, and close."""
        try:
            await self.threads.write(
                lambda connection: leases.give_up(connection, leases.CLOCK, holder=self._holder, now=datetime.now(UTC))
            )
        except StoreError as error:
            _LOGGER.error("store_failed", extra={"fields": {"cause": error.cause}})
        await asyncio.to_thread(self.threads.close)

    async def _tick(self) -> int | None:
        now = datetime.now(UTC)
        return await self.threads.write(lambda connection: clock.tick(connection, holder=self._holder, now=now))


def open_keeper(engine: Engine, settings: ServeSettings) -> Keeper:
    """The store that the settings name, migrated. Raises ConfigError."""
    database = open_database(settings.store or "", timeout=settings.store_timeout)
    try:
        upgrade(database)
        return Keeper(engine, StoreThreads(database, failed=lambda cause: _failed(engine.metrics, cause)))
    except BaseException:
        database.close()
        raise


def _failed(metrics: Metrics, cause: str) -> None:
    metrics.store_failed(cause)
    _LOGGER.error("store_failed", extra={"fields": {"cause": cause}})
