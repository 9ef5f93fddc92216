"""What has just happened, out of the database, so that any worker's writes appear on every page.

While anybody watches, one task of each worker looks at the newest events, and tells all who wait here.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from serving.store import figures
from serving.store.database import StoreError
from serving.store.threads import StoreThreads

LOOK = 0.5
"""Seconds between two looks; a look is one query of an index."""

_AGAIN = timedelta(seconds=15)
# A transaction may commit seconds after the time that it writes down: what is that old is looked at again.

_LIMIT = 500  # events that one look reads; more have happened, but a page is told of as many
_IDS = 50  # comments that a change names


@dataclass(slots=True)
class Changes:
    """What a page has not heard of yet."""

    mark: str = ""  # differs for every change, the same for all workers
    types: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    store: bool = True  # it can be read

    def to_dict(self) -> dict[str, object]:
        return {"mark": self.mark, "types": dict(self.types), "ids": self.ids[-_IDS:], "store": self.store}


class _Listener:
    def __init__(self) -> None:
        self.changes = Changes()
        self.told = asyncio.Event()


class Feed:
    """Of one worker."""

    def __init__(self, threads: StoreThreads, *, seconds: float = LOOK) -> None:
        self._threads = threads
        self._seconds = seconds
        self._listeners: set[_Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._seen: dict[str, datetime] = {}
        self._reads = True
        self.closed = False

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    async def listen(self, *, beat: float = 1.0) -> AsyncGenerator[Changes | None]:
        """Changes as they come; None after `beat` seconds without any, so that the caller can look around itself.

        Ends when the server does.
        """
        listener = _Listener()
        self._listeners.add(listener)
        try:
            if self._task is None or self._task.done():
                await self._look(first=True)
                self._task = asyncio.create_task(self._run())
            while not self.closed:
                try:
                    async with asyncio.timeout(beat):
                        await listener.told.wait()
                except TimeoutError:
                    yield None
                    continue
                changes, listener.changes = listener.changes, Changes()
                listener.told.clear()
                if not self.closed:
                    yield changes
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """Let all who listen go: a server that ends would wait for them."""
        self.closed = True
        for listener in self._listeners:
            listener.told.set()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while self._listeners:
            await asyncio.sleep(self._seconds)
            await self._look()

    async def _look(self, *, first: bool = False) -> None:
        since = datetime.now(UTC) - _AGAIN
        try:
            rows = await self._threads.read(lambda connection: figures.happened(connection, since=since, limit=_LIMIT))
        except StoreError:
            self._tell_store(reads=False)
            return
        self._tell_store(reads=True)
        new = [row for row in rows if row.id not in self._seen]
        self._seen = {row.id: row.created_at for row in rows}
        if not new or first:
            return
        for listener in self._listeners:
            changes = listener.changes
            changes.mark = new[-1].id
            changes.types.update(row.type for row in new)
            changes.ids = [*changes.ids, *(row.subject for row in new)][-_IDS:]
            listener.told.set()

    def _tell_store(self, *, reads: bool) -> None:
        if reads == self._reads:
            return
        self._reads = reads
        for listener in self._listeners:
            listener.changes.store = reads
            listener.told.set()
