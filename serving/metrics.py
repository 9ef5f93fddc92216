"""Figures for Prometheus, in a registry of their own. Labels are versions, paths of ours and statuses: never text.

Several workers write theirs into files of one folder (prometheus-client's multiprocess mode); whichever of them is
asked adds them all up.
"""

import struct
import time
from collections import Counter as Counts
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from pipeline.routing import CALENDAR_ESTIMATED
from serving.model_metrics import ModelMetrics
from serving.shadow_metrics import AGREEMENT, ShadowMetrics

if TYPE_CHECKING:
    from serving.batcher import Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

T = TypeVar("T")

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_READS, _REST = 5, 0.02  # how often the workers' files are read before giving up, and seconds between
_COMMENTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """All figures of one server, or of one worker of several."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` holds the files of all workers where there are several (serving/workers.py)."""
        self.registry = CollectorRegistry()
        self._folder = folder
        self._requests = Counter(
            "fankui_requests", "Requests answered.", ["method", "path", "status"], registry=self.registry
        )
        self._request_seconds = Histogram(
            "fankui_request_seconds",
            "Seconds from the headers to the end of the answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._comments = Counter(
            "fankui_comments", "Comments, by outcome.", ["model_version", "outcome"], registry=self.registry
        )
        self._repeated = Counter(
            "fankui_comments_repeated",
            "Comments whose answer was kept from before.",
            ["model_version"],
            registry=self.registry,
        )
        self._zones = Counter(
            "fankui_decisions", "Decisions, by zone.", ["model_version", "zone"], registry=self.registry
        )
        self._score_seconds = Histogram(
            "fankui_score_seconds",
            "Seconds that one pass took, from texts to decisions.",
            ["model_version"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._score_comments = Histogram(
            "fankui_score_comments",
            "Comments of one pass.",
            ["model_version"],
            buckets=_COMMENTS,
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "fankui_comments_in_flight",
            "Comments admitted and not scored yet.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.models = ModelMetrics(self.registry, forgets=folder is None)
        self.trial = ShadowMetrics(self.registry)
        self._estimated = Counter(
            "fankui_due_times_estimated",
            "Due times that count days of a year whose public holidays are not known.",
            registry=self.registry,
        )
        self._recorded = Counter(
            "fankui_feedback", "Comments posted to be kept, or erased, by outcome.", ["outcome"], registry=self.registry
        )
        self._jobs, self._job_rows = _jobs(self.registry)
        self._store_failures = Counter(
            "fankui_store_failures", "Transactions that the store failed, by cause.", ["cause"], registry=self.registry
        )
        self._webhooks = Counter(
            "fankui_webhook_attempts",
            "Attempts to deliver an event, by the webhook's id: delivered, failed (tried again), dead (given up).",
            ["webhook", "outcome"],
            registry=self.registry,
        )
        self._webhooks_waiting = Gauge(
            "fankui_webhook_oldest_pending_seconds",
            "How long the event that waits longest for a webhook has waited.",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._clock, self._alerts = _happenings(self.registry)
        # Looking a figure up by its labels takes longer than adding to it.
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def in_flight(self, count: int) -> None:
        """`count` comments are under way."""
        self._in_flight.set(count)

    def answering(self, version: str) -> None:
        """`version` answers from now on."""
        self.models.answering(version)

    def request(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request. `path` is a route's, such as /v1/classify, so that there are few."""
        known = self._known.get((method, path, status))
        if known is None:
            known = self._requests.labels(method, path, str(status)), self._request_seconds.labels(path)
            self._known[method, path, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def scored(self, version: str, outcomes: Sequence["Outcome"], *, seconds: float, repeated: int = 0) -> None:
        """Count the comments of one pass that were scored, or not, and those `repeated`, whose answer was there."""
        if repeated:
            self._repeated.labels(version).inc(repeated)
        failed = sum(outcome.error is not None for outcome in outcomes)
        self._comments.labels(version, "ok").inc(len(outcomes) - failed)
        self._comments.labels(version, "error").inc(failed)
        zones = Counts(outcome.result["decision"]["zone"] for outcome in outcomes if "decision" in outcome.result)
        for zone, count in zones.items():
            self._zones.labels(version, zone).inc(count)
        decisions = (outcome.result.get("decision") or {} for outcome in outcomes)
        estimated = sum(CALENDAR_ESTIMATED in decision.get("reasons", ()) for decision in decisions)
        if estimated:
            self._estimated.inc(estimated)
        self._score_seconds.labels(version).observe(seconds)
        self._score_comments.labels(version).observe(len(outcomes))

    def refused(self, version: str, count: int) -> None:
        """Count comments that no model saw because they are no comments."""
        if count:
            self._comments.labels(version, "error").inc(count)

    def recorded(self, outcome: str, count: int = 1) -> None:
        """Count comments that were stored, whose answer was replayed, or that were erased."""
        self._recorded.labels(outcome).inc(count)

    def job(self, outcome: str) -> None:
        """Count a job that was queued, replayed, finished, failed, cancelled or whose results expired."""
        self._jobs.labels(outcome).inc()

    def job_rows(self, ok: int, failed: int) -> None:
        """Count rows of a job whose results are kept."""
        self._job_rows.labels("ok").inc(ok)
        self._job_rows.labels("error").inc(failed)

    def clock_told(self, kind: str, count: int) -> None:
        """Count events of the clock, by type."""
        self._clock.labels(kind).inc(count)

    def alert(self, rule: str) -> None:
        """Count an alert. `rule` is a name in the operator's file, of which there are few."""
        self._alerts.labels(rule).inc()

    def store_failed(self, cause: str) -> None:
        """Count a transaction that failed. `cause` is a database's code, of which there are few."""
        self._store_failures.labels(cause).inc()

    def webhook(self, endpoint: str, outcome: str) -> None:
        """Count an attempt. `endpoint` is an id, of which there are few."""
        self._webhooks.labels(endpoint, outcome).inc()

    def webhooks_waiting(self, seconds: float) -> None:
        """The event that waits longest has waited that long."""
        self._webhooks_waiting.set(seconds)

    def page(self) -> bytes:
        """The text that Prometheus reads, of all workers together."""
        return self._together(generate_latest)

    def agreement(self, *, champion: str, challenger: str) -> dict[str, tuple[int, int]]:
        """Task -> how many answers of the challenger are the champion's, of how many, over all workers."""
        counts: Counts[tuple[str, str]] = Counts()
        for family in self._together(lambda registry: list(registry.collect())):
            for sample in family.samples if family.name + "_total" == AGREEMENT else ():
                named = sample.labels.get("champion"), sample.labels.get("challenger")
                if sample.name == AGREEMENT and named == (champion, challenger):
                    counts[sample.labels["task"], sample.labels["agrees"]] += int(sample.value)
        return {task: (counts[task, "yes"], counts[task, "yes"] + counts[task, "no"]) for task, _ in counts}

    def _together(self, read: Callable[[CollectorRegistry], T]) -> T:
        if not self._folder:
            return read(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, path=str(self._folder))  # type: ignore[no-untyped-call]
        for _ in range(_READS - 1):
            # Files are read without a lock: one that another worker makes, lengthens or takes away is read torn.
            with suppress(struct.error, RuntimeError, ValueError, OSError):
                return read(together)
            time.sleep(_REST)
        return read(together)


def _happenings(registry: CollectorRegistry) -> tuple[Counter, Counter]:
    return (
        Counter(
            "fankui_clock_events",
            "What became of comments whose time had come, such as feedback.overdue.",
            ["type"],
            registry=registry,
        ),
        Counter("fankui_alerts", "Alerts over the stored feedback, by rule.", ["rule"], registry=registry),
    )


def _jobs(registry: CollectorRegistry) -> tuple[Counter, Counter]:
    return (
        Counter("fankui_jobs", "Jobs, by what became of them.", ["outcome"], registry=registry),
        Counter("fankui_job_rows", "Rows of jobs, by outcome.", ["outcome"], registry=registry),
    )
