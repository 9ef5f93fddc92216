"""A model that scores identical comments once: “好评” comes a thousand times a day.

What is kept are probabilities, bit for bit, under a hash of the prepared text; no text. A model that is swapped for
another takes its answers along.
"""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.answer_cache import AnswerCache, prepared_key
from models.heads import probability_width
from models.predictor import OUT_OF_SCOPE, BundlePredictor, Columns
from pipeline.prepare import Prepared


class RepeatPredictor(BundlePredictor):
    """`inner`, with the answers to the last `entries` different texts."""

    def __init__(self, inner: BundlePredictor, *, entries: int) -> None:
        super().__init__(
            model=inner.model, schema=inner.schema, calibration=inner.calibration, model_version=inner.model_version
        )
        self._inner = inner
        self._cache = AnswerCache(_layout(inner), entries=entries)
        self._counts = threading.local()

    @property
    def passed(self) -> int:
        """How many texts the model has scored so far in the thread that asks."""
        return int(getattr(self._counts, "passed", 0))

    def columns(self, prepared: Sequence[Prepared]) -> Columns:
        """Probabilities of prepared texts; embeddings are not kept, so that there are none."""
        keys = [prepared_key(item) for item in prepared]
        rows = np.zeros(len(keys), dtype=_layout(self))
        positions, records = self._cache.find(keys)
        rows[positions] = records
        missing = set(range(len(keys))).difference(positions.tolist())
        if missing:
            first = {keys[i]: i for i in sorted(missing, reverse=True)}
            found = self._records([prepared[i] for i in first.values()])
            places = {key: place for place, key in enumerate(first)}
            for i in missing:
                rows[i] = found[places[keys[i]]]
        return Columns(
            probabilities={task.name: rows[task.name] for task in self.schema.tasks},
            embeddings=None,
            truncated=rows[_TRUNCATED],
            windows=rows[_WINDOWS].astype(np.intp),
            flags=tuple((OUT_OF_SCOPE,) if out else () for out in rows[_OUT].tolist()),
        )

    def _records(self, prepared: Sequence[Prepared]) -> npt.NDArray[Any]:
        columns = self._inner.columns(prepared)
        rows = np.zeros(len(prepared), dtype=_layout(self))
        for task in self.schema.tasks:
            rows[task.name] = columns.probabilities[task.name]
        rows[_TRUNCATED] = columns.truncated
        rows[_WINDOWS] = columns.windows
        rows[_OUT] = [OUT_OF_SCOPE in flags for flags in columns.flags]
        # Not what is refused as no number: the next try may go well.
        if all(np.isfinite(rows[task.name]).all() for task in self.schema.tasks):
            self._counts.passed = self.passed + len(prepared)
            self._cache.keep([prepared_key(item) for item in prepared], rows)
        return rows


# Names that no task can have.
_TRUNCATED, _WINDOWS, _OUT = ":truncated", ":windows", ":out_of_scope"


def _layout(predictor: BundlePredictor) -> np.dtype[Any]:
    tasks = [(task.name, np.float64, probability_width(task)) for task in predictor.schema.tasks]
    return np.dtype([*tasks, (_TRUNCATED, np.bool_), (_WINDOWS, np.int32), (_OUT, np.bool_)])
