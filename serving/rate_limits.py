"""Requests a minute of each API key, counted for all workers together.

Dividing the rate among workers would give a client with one connection, which the kernel hands to one worker, a share
of what it may have; counting in the database would cost every request a transaction. So the workers of a server share
a file in memory: one time for each key, by the generic cell rate algorithm (ITU-T I.371), under a lock of the kernel's.
A look costs some 5 µs. Several hosts with one store each count for themselves.
"""

import math
import mmap
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

_SLOTS = 4096
"""Keys that are counted; of more than that the last ones used are counted by each worker alone."""

_SLOT = struct.Struct("<Qd")  # id, and when its bucket would be full again
_TRIES = 100


class RateLimits:
    """A bucket for each key: a minute's requests may come at once, then one every 60 / rate seconds."""

    def __init__(self, path: Path | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        """`path` is a file that the workers share; None where there is one. `now` has to be the same for all."""
        self._now = now
        self._alone: dict[str, float] = {}
        self._handle = -1
        self._shared: mmap.mmap | None = None
        if path is not None:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(self._handle, _SLOTS * _SLOT.size)
            self._shared = mmap.mmap(self._handle, _SLOTS * _SLOT.size)

    def take(self, id: str, rate: int) -> int:  # noqa: A002
        """Count a request of a key (12 hex digits); 0, or in how many seconds it can be made instead."""
        if self._shared is None:
            full, wait = _next(self._alone.get(id, 0.0), self._now(), rate)
            self._alone[id] = full
            return wait
        locked = self._lock()
        try:
            return self._take_shared(self._shared, id, rate)
        finally:
            if locked:
                self._unlock()

    def close(self) -> None:
        """Let go of the file."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None
            os.close(self._handle)

    def _take_shared(self, shared: mmap.mmap, id: str, rate: int) -> int:  # noqa: A002
        number = int(id, 16) + 1  # 0 is an empty slot
        first = zlib.crc32(id.encode("ascii")) % _SLOTS
        for step in range(_SLOTS):
            place = (first + step) % _SLOTS * _SLOT.size
            known, full = _SLOT.unpack_from(shared, place)
            if known not in (0, number):
                continue
            full, wait = _next(full, self._now(), rate)
            _SLOT.pack_into(shared, place, number, full)
            return wait
        full, wait = _next(self._alone.get(id, 0.0), self._now(), rate)
        self._alone[id] = full
        return wait

    def _lock(self) -> bool:
        """Held for microseconds; a worker that was stopped with it must not stop the others: then one may slip by."""
        import fcntl

        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError:
                time.sleep(0)
        return False

    def _unlock(self) -> None:
        import fcntl

        fcntl.lockf(self._handle, fcntl.LOCK_UN)


def _next(full: float, now: float, rate: int) -> tuple[float, int]:
    """When the bucket will be full after this request, and the seconds to wait where it has to be refused."""
    step = 60.0 / rate
    after = max(full, now) + step
    # Full again within a minute: there was room for this one.
    excess = after - now - 60.0
    return (after, 0) if excess <= 1e-6 else (full, max(1, math.ceil(excess)))
