"""Lets the event loop await transactions: they run in a few threads, and none waits for one longer than it may."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from serving.store.database import Database, StoreError

T = TypeVar("T")


class StoreThreads:
    """A database's threads: one that writes and some that read for SQLite, some that do both for PostgreSQL."""

    def __init__(self, database: Database, *, failed: Callable[[str], None] | None = None) -> None:
        """`failed` hears the cause of every StoreError, in any thread."""
        self.database = database
        self._failed = failed
        self._writers = ThreadPoolExecutor(database.writers, thread_name_prefix="fankui-store-write")
        self._readers = (
            ThreadPoolExecutor(database.readers, thread_name_prefix="fankui-store-read")
            if database.readers
            else self._writers
        )
        self._closed = False

    async def read(self, work: Callable[[Connection], T]) -> T:
        """As Database.read. Raises StoreError `queue` where no thread was free in time."""
        return await self._run(self._readers, lambda: self.database.read(work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """As Database.write, likewise. Once begun it is finished, though whoever awaits it may be gone."""
        return await self._run(self._writers, lambda: self.database.write(work))

    async def call(self, work: Callable[[], T]) -> T:
        """Something longer that opens its own transactions, such as an export, in a thread that reads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def close(self) -> None:
        """Finish what was begun, then close the connections."""
        if not self._closed:
            self._closed = True
            self._writers.shutdown(wait=True, cancel_futures=True)
            self._readers.shutdown(wait=True, cancel_futures=True)
            self.database.close()

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        deadline = time.monotonic() + self.database.timeout

        def begin() -> T:
            try:
                # Behind a database that hangs they would otherwise queue up, each to wait its own time in vain.
                if time.monotonic() > deadline:
                    raise StoreError("queue")
                return work()
            except StoreError as error:
                if self._failed is not None:
                    self._failed(error.cause)
                raise

        return await asyncio.get_running_loop().run_in_executor(threads, begin)
