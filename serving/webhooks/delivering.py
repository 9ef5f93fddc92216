"""The deliverer: claims what is due, signs it, sends it, and notes what became of it. One worker of all does it.

Each message is received at least once; a worker that is killed between sending and noting leaves it to be sent again,
with the same id. Order is not kept. At most MOST are under way, few of them to any one endpoint (store/deliveries.py).
"""

import asyncio
import logging
import random
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from serving.metrics import Metrics
from serving.sealing import Seal
from serving.store import deliveries, leases
from serving.store.database import StoreError
from serving.store.deliveries import DEAD, DELIVERED, PENDING, Claimed, Mark
from serving.store.threads import StoreThreads
from serving.webhooks.endpoints import GONE, SecretSealed, signing_keys
from serving.webhooks.payload import payload
from serving.webhooks.schedule import next_attempt
from serving.webhooks.sending import TOTAL, Outcome, Sender
from serving.webhooks.signing import message_id, signed_headers

_LOGGER = logging.getLogger("fankui.serving")

MOST = 64
"""Messages under way at once."""

_HOLD = timedelta(seconds=TOTAL + 10)  # of a claim: an attempt and what it takes to note it
_GRACE = 3.0  # seconds that messages under way get when the worker ends
_GATHER = 0.02  # seconds, for several to end before more are claimed
_ILL_SECONDS = 5.0  # between two looks where the store is away
_AGE_SECONDS = 15.0  # between two looks at what waits longest
_FORGET = timedelta(hours=1)
_RECORD_TRIES, _RECORD_REST = 5, 1.0  # how often a store that is away is asked to note an outcome; seconds between
_LONGEST_REST = timedelta(minutes=1)


class Deliverer:
    """Delivers from one store, in one event loop."""

    def __init__(
        self,
        threads: StoreThreads,
        sender: Sender,
        *,
        holder: str,
        seal: Seal | None = None,
        metrics: Metrics | None = None,
        now: Callable[[], datetime] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`now` and `chance` stand in for the clock and the jitter."""
        self._threads = threads
        self._sender = sender
        self._holder = holder
        self._seal = seal
        self._metrics = metrics
        self._now = now or (lambda: datetime.now(UTC))
        self._chance = chance
        self._under_way: dict[asyncio.Task[None], Claimed] = {}
        self._ended = asyncio.Event()
        self._led = False  # whether the lease may be ours
        self._told = ""  # cause of the failure that was told
        self._forgot = datetime.min.replace(tzinfo=UTC)

    async def run(self, *, seconds: float) -> None:
        """Look every `seconds` for what is due, and at once where a message was finished. Until cancelled."""
        loop = asyncio.get_running_loop()
        looked_at_age = -_AGE_SECONDS
        while True:
            rest = seconds if await self._watched_step() else max(seconds, _ILL_SECONDS)
            if loop.time() - looked_at_age >= _AGE_SECONDS:
                looked_at_age = loop.time()
                await self._tell_age()
            try:
                await asyncio.wait_for(self._ended.wait(), rest)
                await asyncio.sleep(_GATHER)
            except TimeoutError:
                pass
            self._ended.clear()

    async def step(self) -> int:
        """Dispatch all new events and begin to send what is due; how many were begun. Raises StoreError."""
        if not await self._threads.read(lambda connection: deliveries.is_work(connection, now=self._now())):
            return 0
        self._led = True
        while await self._threads.write(
            lambda connection: deliveries.dispatch(connection, holder=self._holder, now=self._now())
        ):
            pass
        room = MOST - len(self._under_way)
        if room <= 0:
            return 0
        busy = Counter(claimed.endpoint.id for claimed in self._under_way.values())
        token = secrets.token_hex(16)

        def claim(connection: Any) -> list[Claimed] | None:
            return deliveries.claim(
                connection, holder=self._holder, now=self._now(), hold=_HOLD, room=room, busy=busy, token=token
            )

        taken = await self._threads.write(claim) or []
        for claimed in taken:
            task = asyncio.create_task(self._deliver(claimed))
            self._under_way[task] = claimed
            task.add_done_callback(self._done)
        return len(taken)

    async def drain(self) -> None:
        """Wait for all that is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        """Let what is under way finish for a moment, give the rest back, and let another worker have the lease."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_GRACE)
        left = dict(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._sender.close()
        if not self._led:
            return

        def give_up(connection: Any) -> None:
            deliveries.release(connection, list(left.values()))
            leases.give_up(connection, leases.OUTBOX, holder=self._holder, now=self._now())

        try:
            await self._threads.write(give_up)
        except StoreError as error:
            _LOGGER.error("store_failed", extra={"fields": {"cause": error.cause}})

    def _done(self, task: asyncio.Task[None]) -> None:
        claimed = self._under_way.pop(task)
        self._ended.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # What was claimed is sent again once the claim runs out.
            fields = {"cause": type(error).__name__, "webhook": claimed.endpoint.id, "event_id": claimed.event_id}
            _LOGGER.error("webhooks_failed", extra={"fields": fields})

    async def _watched_step(self) -> bool:
        """A step, and whether it went well; what did not is told once."""
        try:
            await self.step()
            await self._forget_old()
        except StoreError as error:
            self._tell_failure(error.cause)
        except Exception as error:  # one bad row must not stop it for good
            self._tell_failure(type(error).__name__)
        else:
            self._told = ""
            return True
        return False

    def _tell_failure(self, cause: str) -> None:
        if cause != self._told:
            self._told = cause
            _LOGGER.error("webhooks_failed", extra={"fields": {"cause": cause}})

    async def _forget_old(self) -> None:
        now = self._now()
        if now - self._forgot < _FORGET:
            return
        self._forgot = now
        while await self._threads.write(lambda connection: deliveries.forget_old(connection, now=now)):
            pass

    async def _tell_age(self) -> None:
        if self._metrics is None:
            return
        try:
            since = await self._threads.read(deliveries.oldest_pending)
        except StoreError:
            return  # told by the step
        self._metrics.webhooks_waiting(0.0 if since is None else max(0.0, (self._now() - since).total_seconds()))

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            outcome = await self._send(claimed)
        except Exception as error:  # a message that cannot be made has to become a dead letter too
            fields = {"cause": type(error).__name__, "webhook": claimed.endpoint.id, "event_id": claimed.event_id}
            _LOGGER.error("webhooks_failed", extra={"fields": fields})
            outcome = Outcome("internal_error")
        now = self._now()
        found = self._judge(claimed, outcome, now)
        for attempt in range(_RECORD_TRIES):
            try:
                noted = await self._threads.write(
                    lambda connection: deliveries.mark(connection, claimed, found, now=now)
                )
                break
            except StoreError:
                if attempt == _RECORD_TRIES - 1:
                    raise
                await asyncio.sleep(_RECORD_REST)
        if noted:
            self._tell(claimed, found)

    async def _send(self, claimed: Claimed) -> Outcome:
        now = self._now()
        try:
            keys = signing_keys(claimed.endpoint, now=now, seal=self._seal)
        except SecretSealed:
            return Outcome("secret_sealed")
        body = payload(
            event_id=claimed.event_id,
            type_=claimed.type,
            subject=claimed.subject,
            created_at=claimed.happened_at,
            data=claimed.data,
        )
        message = message_id(claimed.event_id, claimed.endpoint.id)
        headers = signed_headers(message, body, keys=keys, now=now)
        return await self._sender.send(claimed.endpoint.url, body, headers=headers)

    def _judge(self, claimed: Claimed, outcome: Outcome, now: datetime) -> Mark:
        if outcome.error is None:
            return Mark(DELIVERED, http_status=outcome.status)
        if outcome.error == GONE:
            return Mark(DEAD, GONE, outcome.status, disable=GONE)
        again = next_attempt(claimed.attempt, now=now, wait=outcome.wait, chance=self._chance)
        rest = max(outcome.wait or timedelta(0), _rest(claimed.endpoint.failures))
        return Mark(
            status=DEAD if again is None else PENDING,
            error=outcome.error,
            http_status=outcome.status,
            next_attempt_at=again,
            endpoint_waits_until=now + rest if rest else None,
        )

    def _tell(self, claimed: Claimed, found: Mark) -> None:
        """Figures, and a line for what failed; the URL is in neither, for there may be a token in it."""
        if self._metrics is not None:
            self._metrics.webhook(claimed.endpoint.id, "failed" if found.status == PENDING else found.status)
        if found.status == DELIVERED:
            return
        fields = {
            "webhook": claimed.endpoint.id,
            "event_id": claimed.event_id,
            "type": claimed.type,
            "attempt": claimed.attempt,
            "cause": found.error,
            "status": found.http_status,
            "next_attempt_at": None if found.next_attempt_at is None else found.next_attempt_at.isoformat(),
        }
        dead = found.status == DEAD
        _LOGGER.log(
            logging.ERROR if dead else logging.WARNING,
            "webhook_dead" if dead else "webhook_failed",
            extra={"fields": fields},
        )
        if found.disable is not None:
            _LOGGER.error("webhook_disabled", extra={"fields": {"webhook": claimed.endpoint.id, "why": found.disable}})


def _rest(failures: int) -> timedelta:
    """How long an endpoint that failed that often before is left alone: 1, 2, 4 … 60 s from the third failure on.

    Less than the schedule of any one message, which it does not change; but a thousand that wait do not all try.
    """
    return min(timedelta(seconds=2.0 ** min(failures - 2, 6)), _LONGEST_REST) if failures >= 2 else timedelta(0)
