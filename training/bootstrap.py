"""Percentile bootstrap over rows, as weights: a draw says how often each row was taken [Efron and Tibshirani 1993].

A thousand draws on a thousand rows take about 0.1 s a task, because figures need only sums (training/metrics.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics import Figures, RowStatistics

DRAWS = 1000
LEVEL = 0.95

_CELLS = 8_000_000  # weights held at once (float32: 32 MB), so that a million rows do not need gigabytes
_NO_INTERVAL = ("rows", "support", "ece")  # counts; and the bootstrap of ECE is biased upward


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and the range that holds it in 95 of 100 samples like this one."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus reference on the same rows; `low` and `high` bound it in 95 of 100 draws."""

    reference: float
    candidate: float
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.candidate - self.reference

    @property
    def settled(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def intervals(statistics: RowStatistics, *, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """A 95 % interval for each figure of a task that is defined on these rows."""
    point = statistics.figures()
    drawn = _drawn([statistics], draws=draws, seed=seed)[0]
    return {
        name: Interval(float(point[name][0]), *_bounds(drawn[name]))
        for name in point
        if _wanted(name) and not np.isnan(point[name][0])
    }


def paired(
    reference: RowStatistics, candidate: RowStatistics, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Difference]:
    """Differences of each figure, both sides drawn with the same rows."""
    before, after = reference.figures(), candidate.figures()
    drawn_before, drawn_after = _drawn([reference, candidate], draws=draws, seed=seed)
    return {
        name: Difference(
            float(before[name][0]), float(after[name][0]), *_bounds(drawn_after[name] - drawn_before[name])
        )
        for name in after
        if _wanted(name) and not np.isnan([before[name][0], after[name][0]]).any()
    }


def weights(rows: int, *, draws: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """(some, rows) blocks of counts, `draws` lines in all: how often each row was taken, with replacement."""
    random = np.random.default_rng(seed)
    step = max(1, _CELLS // max(rows, 1))
    for first in range(0, draws, step):
        count = min(step, draws - first)
        taken = random.integers(0, rows, size=(count, rows)) + np.arange(count)[:, None] * rows
        yield np.bincount(taken.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float32)


def _drawn(sides: list[RowStatistics], *, draws: int, seed: int) -> list[Figures]:
    # Both sides are labelled for the same rows; the others would only thin the draws.
    known = sides[0].labeled
    parts: list[list[Figures]] = [[] for _ in sides]
    for block in weights(int(known.sum()), draws=draws, seed=seed):
        full = np.zeros((len(block), len(known)), dtype=np.float32)
        full[:, known] = block
        for side, collected in zip(sides, parts, strict=True):
            collected.append(side.figures(full))
    return [{name: np.concatenate([part[name] for part in side]) for name in side[0]} for side in parts]


def _bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _wanted(name: str) -> bool:
    return not name.startswith(_NO_INTERVAL)
