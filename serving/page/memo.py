"""Answers that several pages ask for at the same time, computed once."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

SECONDS = 5.0
"""How long an answer holds; the mark of the last change is part of its name, so that a change asks anew."""

_KEPT = 64


class Memo:
    """Bytes by name, for a few seconds."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[Hashable, tuple[float, asyncio.Task[bytes]]] = OrderedDict()

    async def get(self, name: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The answer of that name; one who leaves does not take it from those who still wait."""
        now = time.monotonic()
        made_at, task = self._kept.get(name, (0.0, None))
        if task is None or now - made_at > self._seconds or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.ensure_future(make())
            self._kept[name] = now, task
            self._kept.move_to_end(name)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return await asyncio.shield(task)
