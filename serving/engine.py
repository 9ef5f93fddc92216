"""The model that answers, in a thread of its own, so that the event loop stays free while it computes."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

from starlette.types import Receive

from models.resolving import resolve_model, resolve_previous
from pipeline.errors import ConfigError, FeedbackError, ModelError
from pipeline.feedback import Feedback
from pipeline.routing import RoutingPolicy, load_policy
from serving.active_model import ActiveModel, load_active
from serving.batcher import Batcher, Outcome, Place, Request, cost
from serving.intake import Refused
from serving.metrics import Metrics
from serving.places import Places
from serving.problems import RequestProblem
from serving.scoring import PROBE, Scored, merged, score
from serving.settings import ServeSettings
from serving.shadow import Shadow
from serving.terms import Terms, labels_digest
from serving.tracing import Stretch, Tracing
from serving.waiting import waited_for

_LOGGER = logging.getLogger("fankui.serving")
_PROBE_TIMEOUT = 2.0  # seconds; a platform's own probe gives up after about as long
_SHORT = 256  # tokens of a request that goes ahead: a pass of 7 ms on one core


class Engine:
    """Admits comments, has them scored, and knows whether the model works."""

    def __init__(
        self, active: ActiveModel, *, policy: RoutingPolicy, settings: ServeSettings, metrics: Metrics
    ) -> None:
        self.active = active
        self.policy = policy
        self.settings = settings
        self.metrics = metrics
        self.pinned: tuple[ActiveModel, ...] = ()
        self.shadow: Shadow | None = None
        self.tracing: Tracing | None = None
        self.places = Places(settings.max_in_flight, told=metrics.in_flight)
        # Two queues, because a pass cannot be broken off: one comment of 2,000 characters takes 50 ms, in which a dozen
        # short ones would wait behind it. With one queue p99 at half the peak rate was 103 ms, with two it is some 43.
        self._short = Batcher[ActiveModel](self._work, freed=self.places.give_back)
        self._long = Batcher[ActiveModel](self._work, freed=self.places.give_back, gives_way=True)
        self._worked_at = time.monotonic()  # end of the last pass that gave an answer; -inf where the last one failed
        self._began_at: dict[int, float] = {}  # thread -> start of its pass under way
        self._probing = asyncio.Lock()
        metrics.answering(active.version)

    def chosen(self, wanted: str) -> ActiveModel:
        """The model whose version a request names, the one that answers where it names none.

        `wanted` is a version as answers have it, or what of a registered one stands before the @.
        Raises RequestProblem `model_not_loaded`.
        """
        if not wanted:
            return self.active
        for model in (self.active, *self.pinned):
            if wanted in (model.version, model.resolved.version):
                return model
        raise RequestProblem(
            "model_not_loaded",
            "expected in X-Model-Version a version that this server has loaded; GET /v1/models names them, and those "
            "who run it can load more with --pin",
        )

    def terms(self) -> Terms:
        """What a model has to fulfil to answer next."""
        return first_terms(self.policy, self.settings, labels=labels_digest(self.active.predictor.schema))

    async def classify(
        self, items: Sequence[Feedback | Refused], active: ActiveModel, *, receive: Receive | None = None
    ) -> Scored:
        """Results of all items. Raises RequestProblem `overloaded` before they are admitted, `answer_timeout` after.

        Given how to `receive` from the client, it raises ClientLeft soon after that has gone; what of the items is
        still queued then is dropped.
        """
        comments = [entry for entry in items if isinstance(entry, Feedback)]
        self.places.take(len(comments))
        outcomes: Sequence[Outcome] = ()
        if comments:
            outcomes = await self._ask(comments, active, timeout=self.settings.request_timeout, receive=receive)
            if self.shadow is not None and active is self.active:
                self.shadow.offer(active.predictor, comments, [outcome.result for outcome in outcomes])
        self.metrics.refused(active.version, len(items) - len(comments))
        return merged(items, outcomes)

    @property
    def busy(self) -> bool:
        """Whether comments that somebody waits for are under way."""
        return self.places.taken > 0

    async def classify_later(
        self, comments: Sequence[Feedback], active: ActiveModel, *, received: datetime
    ) -> Sequence[Outcome]:
        """Outcomes of comments that are nobody's turn before all others had theirs. Raises RequestProblem
        `answer_timeout` where that does not come in time.

        They come in one pass, which should be a short one: it is what a request may have to wait for.
        """
        timeout = self.settings.request_timeout
        return await self._ask(comments, active, timeout=timeout, received=received)

    async def ready(self) -> bool:
        """Whether a forward pass succeeded within the last seconds, or has begun within the time that requests have,
        and none hangs.

        Where nothing is known, it makes a pass.
        """
        async with self._probing:
            if self._hangs():
                return False
            if self._alive():
                return True
            # Admitted in any case: a server that refuses for a moment is none that should be restarted.
            self.places.take(1, anyway=True)
            try:
                (outcome,) = await self._ask([PROBE], self.active, timeout=_PROBE_TIMEOUT)
            except RequestProblem:
                return self._alive()  # a long pass may have come between, and the probe waits behind it
            return outcome.error is None

    def replace(self, active: ActiveModel) -> None:
        """Let another model answer from now on; requests under way keep theirs."""
        self.active = active
        self.metrics.answering(active.version)
        _LOGGER.info("model_replaced", extra={"fields": {"model_version": active.version}})

    def close(self) -> None:
        """Let the threads end once their work is done."""
        self._short.close()
        self._long.close()
        if self.shadow is not None:
            self.shadow.close()
        if self.tracing is not None:
            self.tracing.close()

    async def _ask(
        self,
        comments: Sequence[Feedback],
        active: ActiveModel,
        *,
        timeout: float,
        receive: Receive | None = None,
        received: datetime | None = None,
    ) -> list[Outcome]:
        """Outcomes of comments for which places were taken, which the batcher gives back; of those that were
        `received` before and wait in the background there are none.
        """
        loop = asyncio.get_running_loop()
        request = Request(
            comments=comments,
            model=active,
            received=received or datetime.now(UTC),
            background=received is not None,
            deadline=time.monotonic() + timeout,
            answer=loop.create_future(),
        )
        short = received is None and sum(cost(comment.text) for comment in comments) <= _SHORT
        batcher = self._short if short else self._long
        queued = time.time_ns()
        batcher.put(request)
        try:
            return await waited_for(request.answer, timeout=timeout, receive=receive)
        finally:
            if request.queued:
                batcher.leave(request)
            if self.tracing is not None and not request.background:
                stretch = Stretch(queued, request.began, request.ended)
                self.tracing.scored(stretch, comments=len(comments), model_version=active.version)

    def span(self, name: str) -> AbstractContextManager[object]:
        """A span of the request that the calling task is in, where traces are made."""
        return nullcontext() if self.tracing is None else self.tracing.span(name)

    def _work(self, batch: Sequence[Place[ActiveModel]]) -> list[Outcome]:
        """One pass, in the batcher's thread."""
        active, started, began = batch[0].request.model, time.monotonic(), time.time_ns()
        probed = any(place.comment is PROBE for place in batch)
        if not probed or len(batch) > 1:  # a probe alone is to find out whether the model hangs
            self._began_at[threading.get_ident()] = started
        # A probe asks the model itself, and what was kept does not show that it works. A job of 100,000 comments would
        # drive out the answers that are kept for others.
        repeats = None if probed or batch[0].request.background else active.repeats
        passed = 0 if repeats is None else repeats.passed
        try:
            outcomes = score(
                [place.comment for place in batch],
                predictor=active.predictor if repeats is None else repeats,
                policy=self.policy,
                received=[place.request.received for place in batch],
            )
        finally:
            self._began_at.pop(threading.get_ident(), None)
            if self.tracing is not None:
                ended = time.time_ns()
                for place in batch:
                    place.request.began, place.request.ended = place.request.began or began, ended
        answered = sum(outcome.error is None for outcome in outcomes)
        repeated = 0 if repeats is None else max(0, answered - (repeats.passed - passed))
        # Here and not where the answer is awaited: a pass whose client has gone proves as much.
        if answered > repeated:
            self._worked_at = time.monotonic()
        elif any(isinstance(outcome.error, ModelError) for outcome in outcomes):
            self._worked_at = -math.inf
        asked = [outcome for place, outcome in zip(batch, outcomes, strict=True) if place.comment is not PROBE]
        if asked:
            self.metrics.scored(active.version, asked, repeated=repeated, seconds=time.monotonic() - started)
        return outcomes

    def _alive(self) -> bool:
        now = time.monotonic()
        if now - self._worked_at < self.settings.probe_seconds:
            return True
        return self._worked_at > -math.inf and bool(self._began_at) and not self._hangs()

    def _hangs(self) -> bool:
        """Whether a pass is under way for longer than a request has: a full batch may take long, but not that long.

        The other queue may go on answering meanwhile; whoever sends to this one waits in vain.
        """
        # A copy, because the threads come and go.
        return any(
            time.monotonic() - began >= self.settings.request_timeout for began in tuple(self._began_at.values())
        )


def start_engine(settings: ServeSettings) -> Engine:
    """Choose and load the model, those beside it, and the routing policy. Raises BundleError, ConfigError, DataError.

    Where the champion is unfit, the one before answers: a worker that is started again must not fail where the others
    have refused the new one and go on.
    """
    policy = load_policy(settings.routing)
    metrics = Metrics(settings.figures)
    active = _first(settings, first_terms(policy, settings, labels=settings.labels))
    engine = Engine(active, policy=policy, settings=settings, metrics=metrics)
    terms = Terms(policy=_written(policy, settings))
    engine.pinned = tuple(
        load_active(resolve_model(name), threads=settings.threads, cache=settings.cache, terms=terms)
        for name in settings.pin
    )
    if settings.otlp is not None:
        engine.tracing = _open_tracing(settings.otlp)
    if settings.shadow is not None:
        engine.shadow = Shadow(
            settings.shadow,
            share=settings.shadow_share,
            seconds=settings.shadow_seconds,
            metrics=metrics.trial,
            idle=lambda: not engine.busy,
        )
    return engine


def _open_tracing(endpoint: str) -> Tracing:
    try:
        from serving.otlp import OtlpTracing
    except ModuleNotFoundError as error:
        message = f"--otlp needs {error.name}; install the extra: pip install 'fankui[otel]'"
        raise ConfigError("extra_missing", message) from None
    return OtlpTracing(endpoint)


def first_terms(policy: RoutingPolicy, settings: ServeSettings, *, labels: str | None) -> Terms:
    """What a model has to fulfil that shall answer."""
    return Terms(policy=_written(policy, settings), labels=labels, golden=settings.golden)


def _first(settings: ServeSettings, terms: Terms) -> ActiveModel:
    resolved = resolve_model(settings.model)
    try:
        return load_active(resolved, threads=settings.threads, cache=settings.cache, terms=terms)
    except FeedbackError as error:
        before = resolve_previous() if resolved.origin == "champion" else None
        if before is None:
            raise
        try:
            active = load_active(before, threads=settings.threads, cache=settings.cache, terms=terms)
        except FeedbackError:
            raise error from None
        fields = {"why": f"{error.code}: {error.message}", "model_version": active.version}
        _LOGGER.error("started_with_previous", extra={"fields": fields})
        return active


def _written(policy: RoutingPolicy, settings: ServeSettings) -> RoutingPolicy | None:
    """The policy where somebody wrote it for the model's labels, which the shipped one is not."""
    return policy if settings.routing is not None else None
