"""Has the stored feedback looked at every few minutes, by one worker of all and in a process of its own."""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.errors import ConfigError
from pipeline.schema import LabelSchema
from serving.engine import Engine
from serving.settings import ServeSettings
from serving.store import insights, leases
from serving.store.database import StoreError
from serving.store.threads import StoreThreads

_LOGGER = logging.getLogger("fankui.serving")

DAYS = 90
"""Days of comments that are looked at: a season of weekdays for base lines and forecasts."""

MOST = 100_000
"""Comments that are looked at, the newest: some two minutes and 1.5 GB of the process."""

_NEEDED = ("sklearn", "scipy", "statsmodels", "datasketch")
_LONGEST = 1800.0  # seconds of one look
_PROLONG = leases.HOLD.total_seconds() / 3
_FIRST = 0.1  # share of the time between two looks, after which the first one comes
_COMMAND = (sys.executable, "-m", "serving.insights.looking")


class Watcher:
    """Of one worker."""

    def __init__(self, engine: Engine, threads: StoreThreads, *, holder: str) -> None:
        self._engine = engine
        self._threads = threads
        self._settings = engine.settings
        self._holder = holder
        self._told = ""

    async def run(self) -> None:
        """Look until cancelled. A failure is told once and tried again."""
        await asyncio.sleep(_FIRST * self._settings.insight_seconds)
        while True:
            try:
                await self.look()
            except Exception as error:  # the store is away, or the process cannot be started: tried again
                self._tell(error.cause if isinstance(error, StoreError) else type(error).__name__)
            await asyncio.sleep(self._settings.insight_seconds)

    async def look(self) -> dict[str, Any] | None:
        """What the process says of it; None where another worker does it, or nothing has come in since."""
        now = datetime.now(UTC)
        if not await self._threads.write(lambda connection: self._hold(connection, now)):
            return None
        if not await self._threads.read(lambda connection: self._is_news(connection, now)):
            return None
        told = await self._run()
        if "error" in told:
            self._tell(told["error"])
            return told
        self._told = ""
        _LOGGER.info("insights", extra={"fields": {"comments": told["rows"], "alerts": len(told["alerts"])}})
        for rule in told["alerts"]:
            self._engine.metrics.alert(rule)
        return told

    async def _run(self) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # a traceback may hold a comment
        )
        prolonging = asyncio.create_task(self._prolong())
        try:
            async with asyncio.timeout(_LONGEST):
                output, _ = await process.communicate(self._wanted())
        finally:
            prolonging.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
        lines = output.decode().splitlines()
        return json.loads(lines[-1]) if lines and process.returncode == 0 else {"error": f"exit {process.returncode}"}

    def _wanted(self) -> bytes:
        """By a pipe: other users of this machine see command lines and some see environments."""
        rules = self._settings.alerts
        wanted = {
            "store": self._threads.database.engine.url.render_as_string(hide_password=False),
            "schema": self._engine.active.predictor.schema.to_dict(),
            "zone": zone_name(self._engine.policy.timezone),
            "rules": None if rules is None else str(rules),
            "days": DAYS,
            "most": MOST,
        }
        return json.dumps(wanted).encode()

    def _hold(self, connection: Any, now: datetime) -> bool:
        return leases.acquire(connection, leases.INSIGHTS, holder=self._holder, now=now)

    def _is_news(self, connection: Any, now: datetime) -> bool:
        changed, before = insights.last_change(connection), insights.last_findings(connection)
        if changed is None or before is None:
            return changed is not None
        zone = self._engine.policy.timezone
        return bool(changed > before.made_at or now.astimezone(zone).date() != before.made_at.astimezone(zone).date())

    async def _prolong(self) -> None:
        while True:
            await asyncio.sleep(_PROLONG)
            await self._threads.write(lambda connection: self._hold(connection, datetime.now(UTC)))

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            _LOGGER.error("insights_failed", extra={"fields": {"why": why}})


def is_wanted(settings: ServeSettings, schema: LabelSchema) -> bool:
    """Whether to look: where it was asked for, or where what it needs is installed and nobody forbade it.

    Raises ConfigError `extra_missing` where it was asked for in vain, and what is wrong with the rules.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    asked = settings.insights or settings.alerts is not None
    if asked and missing:
        raise ConfigError("extra_missing", f"insights need {missing[0]}; install them with: pip install '.[insights]'")
    if settings.alerts is not None:
        from pipeline.insights.alert_rules import check_labels, load_rules

        check_labels(load_rules(settings.alerts), schema)
    return not missing if settings.insights is None else settings.insights


def zone_name(zone: Any) -> str:
    """The name of the policy's time zone. Whole hours from UTC have one too; anything else is taken for China's."""
    if isinstance(zone, ZoneInfo):
        return zone.key
    seconds = zone.utcoffset(None).total_seconds()
    return f"Etc/GMT{-round(seconds / 3600):+d}" if seconds % 3600 == 0 else "Asia/Shanghai"
