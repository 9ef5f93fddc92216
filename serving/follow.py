"""Follows the champion pointer: `fankui promote` and `rollback` change the model of a running server."""

import asyncio
import logging

from models.loading import ResolvedModel
from models.resolving import resolve_model
from pipeline.errors import FeedbackError
from serving.engine import Engine, load_active

_LOGGER = logging.getLogger("fankui.serving")


async def follow_champion(engine: Engine) -> None:
    """Look every few seconds; load what is new beside the old one and let it answer once it has passed the probe.

    Runs until cancelled. A model that does not load leaves the old one answering and is not tried again.
    """
    failed: ResolvedModel | None = None
    told = ""
    while True:
        await asyncio.sleep(engine.settings.follow_seconds)
        chosen: ResolvedModel | None = None
        try:
            chosen = await asyncio.to_thread(resolve_model)
            if chosen in (engine.active.resolved, failed):
                continue
            engine.replace(await asyncio.to_thread(load_active, chosen, threads=engine.settings.threads))
        except (FeedbackError, OSError) as error:
            failed = chosen
            why = f"{error.code}: {error.message}" if isinstance(error, FeedbackError) else str(error)
            if why != told:
                told = why
                _LOGGER.error("model_not_replaced", extra={"fields": {"why": why}})
