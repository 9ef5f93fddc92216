"""Figures of the models in service: which one answers, in how many workers, and what became of new ones."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ModelMetrics:
    """Those of one server, or of one worker of several."""

    def __init__(self, registry: CollectorRegistry, *, forgets: bool) -> None:
        """`forgets`: a model that answers no more is taken out; the files of workers keep what was once in them."""
        self._forgets = forgets
        self._model = Gauge(
            "fankui_model",
            "1 for the model that answers.",
            ["model_version"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._workers = Gauge(
            "fankui_model_workers",
            "Workers in which this model answers.",
            ["model_version"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._swaps = Counter(
            "fankui_model_swaps",
            "Models that took the place of the one before (replaced), or were refused, by the code of the reason.",
            ["outcome"],
            registry=registry,
        )
        self._refused = Gauge(
            "fankui_champion_refused",
            "1 where the champion is not the model that answers, because it was refused.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._version = ""

    def answering(self, version: str) -> None:
        """`version` answers from now on."""
        for gauge in (self._model, self._workers):
            if self._version and version != self._version:
                gauge.labels(self._version).set(0)
                if self._forgets:
                    gauge.remove(self._version)
            gauge.labels(version).set(1)
        self._version = version

    def swapped(self, outcome: str) -> None:
        """The champion took its place (`replaced`), or was refused: then the code of an error, or `failed`."""
        self._swaps.labels(outcome).inc()
        self._refused.set(outcome != "replaced")

    def champion_answers(self) -> None:
        """The champion is the model that answers."""
        self._refused.set(0)
