"""Figures of a challenger in shadow: how many comments it was asked, how long it took, how often it agrees."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

AGREEMENT = "fankui_shadow_labels_total"

_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ShadowMetrics:
    """Those of one server, or of one worker of several."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._comments = Counter(
            "fankui_shadow_comments",
            "Comments taken for the challenger: compared, failed (it could not answer) or dropped (it had no time).",
            ["model_version", "outcome"],
            registry=registry,
        )
        self._labels = Counter(
            "fankui_shadow_labels",
            "Answers of the challenger, by whether they are those of the champion.",
            ["champion", "challenger", "task", "agrees"],
            registry=registry,
        )
        self._seconds = Histogram(
            "fankui_shadow_seconds",
            "Seconds that the challenger took for a comment.",
            ["model_version"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._model = Gauge(
            "fankui_shadow_workers",
            "Workers in which this challenger is loaded.",
            ["model_version"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._failures = Counter(
            "fankui_shadow_load_failures", "Times that a challenger could not be loaded.", registry=registry
        )
        self._version = ""

    def loaded(self, version: str) -> None:
        """`version` is the challenger from now on."""
        if self._version:
            self._model.labels(self._version).set(0)
        self._model.labels(version).set(1)
        self._version = version

    def not_loaded(self) -> None:
        """Count a failure."""
        self._failures.inc()

    def failed(self, version: str) -> None:
        """Count a comment that the challenger could not answer."""
        self._comments.labels(version, "failed").inc()

    def dropped(self, version: str, count: int) -> None:
        """Count comments that it had no time for."""
        self._comments.labels(version, "dropped").inc(count)

    def compared(self, agrees: Mapping[str, bool], *, champion: str, challenger: str, seconds: float) -> None:
        """Count a comment; `agrees` says of every task whether both gave the same."""
        self._comments.labels(challenger, "compared").inc()
        self._seconds.labels(challenger).observe(seconds)
        for task, same in agrees.items():
            self._labels.labels(champion, challenger, task, "yes" if same else "no").inc()
