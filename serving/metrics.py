"""Figures for Prometheus, in a registry of their own. Labels are versions, paths of ours and statuses: never text."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.places import Places

if TYPE_CHECKING:
    from serving.scoring import Scored

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """All figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self._zones = Counter(
            "fankui_decisions", "Decisions, by zone.", ["model_version", "zone"], registry=self.registry
        )
        self._score_seconds = Histogram(
            "fankui_score_seconds",
            "Seconds that scoring one request's comments took.",
            ["model_version"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "fankui_comments_in_flight", "Comments admitted and not scored yet.", registry=self.registry
        )
        self._model = Gauge("fankui_model", "1 for the model that answers.", ["model_version"], registry=self.registry)

    def watch(self, places: Places, version: str) -> None:
        """Show how many places are taken, and which model answers."""
        self._in_flight.set_function(lambda: places.taken)
        self.answering(version)

    def answering(self, version: str) -> None:
        """`version` answers from now on."""
        self._model.clear()
        self._model.labels(version).set(1)

    def request(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request. `path` is a route's, such as /v1/classify, so that there are few."""
        self._requests.labels(method, path, str(status)).inc()
        self._request_seconds.labels(path).observe(seconds)

    def scored(self, version: str, scored: "Scored", *, seconds: float) -> None:
        """Count the comments of a request that were scored, or not."""
        failed = len(scored.errors)
        self._comments.labels(version, "ok").inc(len(scored.results) - failed)
        self._comments.labels(version, "error").inc(failed)
        for result in scored.results:
            if "decision" in result:
                self._zones.labels(version, result["decision"]["zone"]).inc()
        self._score_seconds.labels(version).observe(seconds)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
