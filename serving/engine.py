"""The model that answers, in a thread of its own, so that the event loop stays free while it computes."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from models.loading import ResolvedModel, open_model, read_predictor
from models.predictor import BundlePredictor
from models.resolving import resolve_model
from pipeline.errors import BundleError, FeedbackError
from pipeline.feedback import Feedback
from pipeline.routing import RoutingPolicy, load_policy
from serving.intake import Refused
from serving.metrics import Metrics
from serving.places import Places
from serving.problems import RequestProblem
from serving.scoring import PROBE, Scored, score
from serving.settings import ServeSettings

_LOGGER = logging.getLogger("fankui.serving")
_PROBE_TIMEOUT = 2.0  # seconds; a platform's own probe gives up after about as long

T = TypeVar("T")


@dataclass(frozen=True)
class ActiveModel:
    """A model that was loaded and has answered the probe. Every answer is one such model's from beginning to end."""

    predictor: BundlePredictor
    resolved: ResolvedModel
    name: str
    kind: str
    digest: str
    loaded_at: datetime

    @property
    def version(self) -> str:
        return self.predictor.model_version


def load_active(resolved: ResolvedModel, *, threads: int | None, policy: RoutingPolicy | None = None) -> ActiveModel:
    """Open, check and try a model; `policy` has to fit its labels.

    Raises BundleError, `model_failed` where it cannot answer the probe; ConfigError where the policy does not fit.
    """
    bundle = open_model(resolved)
    if policy is not None:
        policy.check(bundle.schema)
    predictor = read_predictor(bundle, registered=resolved.version, threads=threads)
    if any(isinstance(answer, FeedbackError) for answer in predictor.predict_each([PROBE])):
        raise BundleError("model_failed", f"the model at {resolved.path} cannot score a plain comment; choose another")
    return ActiveModel(
        predictor=predictor,
        resolved=resolved,
        name=bundle.name,
        kind=bundle.kind,
        digest=bundle.digest,
        loaded_at=datetime.now(UTC),
    )


class Engine:
    """Admits comments, has them scored, and knows whether the model works."""

    def __init__(
        self, active: ActiveModel, *, policy: RoutingPolicy, settings: ServeSettings, metrics: Metrics
    ) -> None:
        self.active = active
        self.policy = policy
        self.settings = settings
        self.metrics = metrics
        self.places = Places(settings.max_in_flight)
        # One thread: the linear model holds the interpreter anyway, the network brings threads of its own.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fankui-model")
        self._worked_at = time.monotonic()  # end of the last pass that gave an answer; -inf where the last one failed
        self._began_at = math.inf  # start of the pass under way
        self._probing = asyncio.Lock()
        metrics.watch(self.places, active.version)

    async def classify(self, items: Sequence[Feedback | Refused], active: ActiveModel) -> Scored:
        """Results of all items. Raises RequestProblem `overloaded` before they are admitted, `answer_timeout` after."""
        count = len(items)
        self.places.take(count)
        now = datetime.now(UTC)

        def work() -> Scored:
            started = self._began_at = time.monotonic()
            try:
                scored = score(items, predictor=active.predictor, policy=self.policy, now=now)
            finally:
                self._began_at = math.inf
            # Here and not where the answer is awaited: a pass whose client has gone proves as much.
            if scored.answered:
                self._worked_at = time.monotonic()
            elif scored.model_failed:
                self._worked_at = -math.inf
            self.metrics.scored(active.version, scored, seconds=time.monotonic() - started)
            return scored

        return await self._in_thread(
            work, timeout=self.settings.request_timeout, finished=lambda: self.places.give_back(count)
        )

    async def ready(self) -> bool:
        """Whether a forward pass succeeded within the last seconds, or has begun within the time that requests have.

        Where neither is so, it makes a pass.
        """
        async with self._probing:
            if self._alive():
                return True
            predictor = self.active.predictor
            try:
                answers = await self._in_thread(lambda: predictor.predict_each([PROBE]), timeout=_PROBE_TIMEOUT)
            except RequestProblem:
                return self._alive()  # a long pass may have come between, and the probe waits behind it
            if any(isinstance(answer, FeedbackError) for answer in answers):
                return False
            self._worked_at = time.monotonic()
            return True

    def replace(self, active: ActiveModel) -> None:
        """Let another model answer from now on; requests under way keep theirs."""
        self.active = active
        self.metrics.answering(active.version)
        _LOGGER.info("model_replaced", extra={"fields": {"model_version": active.version}})

    def close(self) -> None:
        """Let the thread end once its work is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _alive(self) -> bool:
        now = time.monotonic()
        if now - self._worked_at < self.settings.probe_seconds:
            return True
        # A full batch may take long; only after the request's own deadline does a pass count as hanging.
        return self._worked_at > -math.inf and 0 <= now - self._began_at < self.settings.request_timeout

    async def _in_thread(
        self, work: Callable[[], T], *, timeout: float, finished: Callable[[], None] | None = None
    ) -> T:
        future = self._thread.submit(work)
        if finished is not None:
            # When the work ends and not when its waiter gives up: a place is free only then.
            future.add_done_callback(lambda _: finished())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout)
        except TimeoutError:
            raise RequestProblem(
                "answer_timeout", "the model did not answer in time; wait as Retry-After says, and send it again"
            ) from None


def start_engine(settings: ServeSettings) -> Engine:
    """Choose and load the model and the routing policy. Raises BundleError, ConfigError."""
    policy = load_policy(settings.routing)
    active = load_active(resolve_model(settings.model), threads=settings.threads, policy=written(policy, settings))
    return Engine(active, policy=policy, settings=settings, metrics=Metrics())


def written(policy: RoutingPolicy, settings: ServeSettings) -> RoutingPolicy | None:
    """The policy where somebody wrote it for the model's labels, which the shipped one is not."""
    return policy if settings.routing is not None else None
