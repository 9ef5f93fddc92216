"""Follows the champion pointer: `fankui promote` and `rollback` change the model of a running server."""

import asyncio
import logging
import time

from models.loading import ResolvedModel
from models.resolving import resolve_model
from pipeline.errors import DataError, FeedbackError
from serving.active_model import load_active
from serving.engine import Engine

_LOGGER = logging.getLogger("fankui.serving")
_LONGEST_WAIT = 60.0  # seconds between two tries of a model that did not load


async def follow_champion(engine: Engine) -> None:
    """Look every few seconds; load what is new beside the old one and let it answer once it has passed the probe.

    Runs until cancelled, whatever happens. A model that does not load leaves the old one answering: one that is found
    unfit is not tried again; after any other failure, such as a disk that is away, it is, ever more rarely.
    """
    follower = _Follower(engine)
    while True:
        await asyncio.sleep(engine.settings.follow_seconds)
        await follower.look()


class _Follower:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._unfit: ResolvedModel | None = None
        self._troubled: ResolvedModel | None = None
        self._wait = self._retry_at = 0.0
        self._told = ""

    async def look(self) -> None:
        chosen: ResolvedModel | None = None
        try:
            chosen = await asyncio.to_thread(resolve_model)
            if chosen == self._engine.active.resolved:
                self._settle()
                return
            if not self._due(chosen):
                return
            settings = self._engine.settings
            loading = asyncio.to_thread(
                load_active, chosen, threads=settings.threads, cache=settings.cache, terms=self._engine.terms()
            )
            self._engine.replace(await loading)
        except DataError as error:  # of the golden answers' file, which may be there again
            self._postpone(chosen)
            self._tell(f"{error.code}: {error.message}", error.code)
        except FeedbackError as error:
            self._unfit = chosen
            self._tell(f"{error.code}: {error.message}", error.code)
        except Exception as error:
            self._postpone(chosen)
            # Libraries put what they were reading into their messages; the operating system names the file.
            self._tell(str(error) if isinstance(error, OSError) else type(error).__name__, "failed")
        else:
            self._engine.metrics.models.swapped("replaced")
            self._settle()

    def _settle(self) -> None:
        """The champion answers: what was wrong with another one is over."""
        self._unfit = self._troubled = None
        if self._told:
            self._told = ""
            self._engine.metrics.models.champion_answers()

    def _due(self, chosen: ResolvedModel) -> bool:
        if chosen == self._unfit:
            return False
        return chosen != self._troubled or time.monotonic() >= self._retry_at

    def _postpone(self, chosen: ResolvedModel | None) -> None:
        first = self._engine.settings.follow_seconds
        self._wait = min(2 * self._wait, _LONGEST_WAIT) if chosen == self._troubled else first
        self._troubled = chosen
        self._retry_at = time.monotonic() + self._wait

    def _tell(self, why: str, outcome: str) -> None:
        if why != self._told:
            self._told = why
            self._engine.metrics.models.swapped(outcome)
            _LOGGER.error("model_not_replaced", extra={"fields": {"why": why}})
