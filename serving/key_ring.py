"""The API keys as a worker knows them: all of them in memory, read again every few seconds.

A request costs a look-up, a SHA-256 and a comparison, and no transaction. What is revoked opens nothing after
`seconds`; what is new is looked for at once. While the store is away the keys of before hold.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from pipeline.errors import ConfigError
from serving.api_keys import ApiKey, KeyShelf, open_with, well_formed

_LOGGER = logging.getLogger("fankui.serving")
_LEAST = 1.0  # seconds between two looks that unknown keys cause
_NOTED = 60.0  # seconds between two notes of when keys were used

Threaded = Callable[[Callable[[], None]], Awaitable[None]]


async def in_any_thread(work: Callable[[], None]) -> None:
    """Run something that blocks."""
    await asyncio.to_thread(work)


class KeyRing:
    """Keys from a shelf; `asked` says whether requests need one, which they do for good once there is one."""

    def __init__(self, shelf: KeyShelf | None, *, seconds: float = 5.0, threaded: Threaded = in_any_thread) -> None:
        """Raises what the shelf raises where it cannot be read."""
        self._shelf = shelf
        self._seconds = seconds
        self._threaded = threaded
        self._keys: dict[str, ApiKey] = {}
        self._used: dict[str, datetime] = {}
        self._tried_at = time.monotonic()
        self._noted_at = self._tried_at
        self._looking = asyncio.Lock()
        self._told = ""
        self.asked = False
        if shelf is not None:
            self._take(shelf.load())

    def usable(self) -> bool:
        """Whether any key opens anything now."""
        now = datetime.now(UTC)
        return any(key.usable(now) for key in self._keys.values())

    async def find(self, shown: bytes) -> ApiKey | None:
        """The key that a string from outside opens."""
        if time.monotonic() - self._tried_at > 2 * self._seconds:  # nobody looks every few seconds
            await self.look(least=self._seconds)
        found = self._open(shown)
        if found is None and well_formed(shown):
            await self.look(least=_LEAST)
            found = self._open(shown)
        return found

    async def holder(self, id: str) -> ApiKey | None:  # noqa: A002
        """The key with that id, usable or not, for a session that was opened with it."""
        if time.monotonic() - self._tried_at > 2 * self._seconds:
            await self.look(least=self._seconds)
        found = self._keys.get(id)
        if found is not None:
            self._used[id] = datetime.now(UTC)
        return found

    async def look(self, *, least: float = 0.0) -> None:
        """Read the keys again unless that was tried within the last `least` seconds."""
        if self._shelf is None:
            return
        async with self._looking:
            if time.monotonic() - self._tried_at < least:
                return
            self._tried_at = time.monotonic()
            try:
                await self._threaded(self._load)
            except Exception as error:  # one bad row must not end the looking
                cause = str(getattr(error, "cause", None) or getattr(error, "code", type(error).__name__))
                if cause != self._told:
                    self._told = cause
                    _LOGGER.error("keys_failed", extra={"fields": {"cause": cause}})
            else:
                self._told = ""

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.look()

    async def close(self) -> None:
        """Note what was used last."""
        self._noted_at = 0.0
        await self.look()

    def _open(self, shown: bytes) -> ApiKey | None:
        now = datetime.now(UTC)
        found = open_with(self._keys, shown, now)
        if found is not None:
            self._used[found.id] = now
        return found

    def _load(self) -> None:
        """In a thread."""
        assert self._shelf is not None
        self._take(self._shelf.load())
        if self._used and time.monotonic() - self._noted_at > _NOTED:
            self._noted_at = time.monotonic()
            used, self._used = self._used, {}
            self._shelf.used(used)

    def _take(self, keys: list[ApiKey]) -> None:
        self._keys = {key.id: key for key in keys}
        self.asked = self.asked or bool(keys)


def check_reachable(ring: KeyRing, *, loopback: bool, no_keys: bool) -> None:
    """Raise ConfigError `keys_missing` where strangers could reach a server that asks nobody who he is."""
    if loopback or no_keys or ring.usable():
        return
    raise ConfigError(
        "keys_missing",
        "--host: others than this machine can reach that address, and there is no valid API key; make one with "
        "`fankui keys create NAME --scope score` and the same --store or --keys-file, listen on 127.0.0.1, or say "
        "--no-keys where a proxy in front asks who they are",
    )
