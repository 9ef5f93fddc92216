"""Fits what turns logits into decisions, on rows that the model was not fitted on.

A temperature by likelihood [Guo et al. 2017], of the top label alone [Gupta & Ramdas 2021] where there is one; cuts of
ordinal levels by quadratic kappa, mention thresholds by F1, then the zones `auto` and `suggest` by precision.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from models.calibration import Calibration, TaskCalibration
from models.heads import exceedance, probabilities
from pipeline.errors import DataError
from pipeline.routing import NEVER
from pipeline.schema import Kind, LabelSchema, Task
from training.columns import Floats, Labels, decide, labeled
from training.coverage import coverage
from training.few_rows import MIN_ROWS

MIN_SUPPORT = 10  # gold rows of every level before cuts move, gold mentions before the mention threshold moves
MIN_GAIN = 0.005  # a cut or threshold leaves 0.5 only for more than this
# Where nearly all answers are right the precision alone would allow any confidence, even one never seen before.
MIN_AUTO, MIN_SUGGEST = 0.5, 0.25
_GRID = np.round(np.arange(0.1, 0.91, 0.02), 2)


def fit_calibration(
    schema: LabelSchema,
    gold: Mapping[str, Labels],
    logits: Mapping[str, NDArray[np.floating]],
    *,
    precision: float = 0.9,
    suggest_precision: float = 0.7,
) -> Calibration:
    """Fit every task that has gold labels; the others keep the identity.

    `gold` as training.columns.gold_columns gives it, `logits` as models.heads shapes them, rows aligned.
    Raises DataError `rows_differ` where they do not align.
    """
    tasks = {}
    for task in schema.tasks:
        if task.name in gold and task.name in logits:
            known = _aligned(task, gold[task.name], logits[task.name])
            rows, column = np.asarray(logits[task.name])[known], gold[task.name][known]
            tasks[task.name] = _fit(task, column, rows, wanted=(precision, suggest_precision))
        else:
            tasks[task.name] = TaskCalibration()
    return Calibration(tasks)


def _aligned(task: Task, gold: Labels, logits: NDArray[np.floating]) -> NDArray[np.bool_]:
    if len(gold) != len(logits):
        raise DataError("rows_differ", f"task {task.name!r}: {len(gold)} gold rows but {len(logits)} rows of logits")
    return labeled(gold)


def _fit(task: Task, gold: Labels, logits: NDArray[np.floating], *, wanted: tuple[float, float]) -> TaskCalibration:
    fitted = TaskCalibration(temperature=fit_temperature(task, gold, logits))
    p = probabilities(task, logits, fitted.temperature)
    if task.kind is Kind.ORDINAL:
        fitted = replace(fitted, cuts=fit_cuts(task, gold, p))
    if task.kind in (Kind.MULTI, Kind.ASPECT):
        fitted = replace(fitted, mentioned=fit_mentioned(task, gold, p))
    curve = coverage(task, gold, decide(task, p, fitted))
    auto, suggest = max(curve.threshold(wanted[0]), MIN_AUTO), max(curve.threshold(wanted[1]), MIN_SUGGEST)
    auto = NEVER if len(gold) < MIN_ROWS else auto
    return replace(fitted, auto=max(auto, suggest), suggest=suggest)


def fit_temperature(task: Task, gold: Labels, logits: NDArray[np.floating]) -> float:
    """The temperature in 0.05 to 20 under which the gold labels are likeliest; 1 with too few rows.

    Of a single task it is the one under which it is likeliest that the top labels are right and wrong where they are,
    since zones go by that confidence. Weighted classes lean a model to the rare ones, which no temperature undoes: by
    the likelihood of all labels 12 categories were 4 points too sure of themselves.
    """
    if len(gold) < MIN_ROWS:
        return 1.0
    measure = top_surprise if task.kind is Kind.SINGLE else surprise
    found = minimize_scalar(
        lambda log_t: measure(task, gold, logits, temperature=float(np.exp(log_t))),
        bounds=(np.log(0.05), np.log(20.0)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return round(float(np.exp(found.x)), 4)


def fit_cuts(task: Task, gold: Labels, p: Floats) -> tuple[float, ...]:
    """Cuts on P(level > j) that maximize quadratic kappa, one after the other until none gains; 0.5 each by default."""
    cuts = np.full(len(task.labels) - 1, 0.5)
    if np.bincount(gold, minlength=len(task.labels)).min() < MIN_SUPPORT:
        return tuple(cuts.tolist())
    above = exceedance(p)
    best = start = _kappa(gold, (above >= cuts).sum(axis=1), len(task.labels))
    for _ in range(5):
        before = best
        for j in range(len(cuts)):
            for value in _GRID:
                trial = cuts.copy()
                trial[j] = value
                kappa = _kappa(gold, (above >= trial).sum(axis=1), len(task.labels))
                if kappa > best:
                    best, cuts = kappa, trial
        if best == before:
            break
    return tuple(cuts.tolist()) if best - start > MIN_GAIN else (0.5,) * len(cuts)


def fit_mentioned(task: Task, gold: Labels, p: Floats) -> float:
    """The least probability that counts as mentioned, by micro F1 over labels (and polarities) given."""
    if (gold > 0).sum() < MIN_SUPPORT:
        return 0.5

    def f1(threshold: float) -> float:
        given = decide(task, p, TaskCalibration(mentioned=threshold)).labels
        hit = ((gold > 0) & (gold == given)).sum()
        return float(2 * hit / ((gold > 0).sum() + (given > 0).sum()))

    scores = [f1(float(threshold)) for threshold in _GRID]
    best = int(np.argmax(scores))
    return float(_GRID[best]) if scores[best] - f1(0.5) > MIN_GAIN else 0.5


def surprise(task: Task, gold: Labels, logits: NDArray[np.floating], *, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of the gold labels, in nats."""
    tiny = 1e-12
    p = probabilities(task, logits, temperature)
    if task.kind is Kind.MULTI:
        return float(-np.log(np.where(gold == 1, p, 1 - p) + tiny).mean())
    chosen = np.take_along_axis(p, gold[..., None], axis=-1)
    return float(-np.log(chosen + tiny).mean())


def top_surprise(task: Task, gold: Labels, logits: NDArray[np.floating], *, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood, in nats, that the top label is right where it is and wrong elsewhere."""
    tiny = 1e-12
    p = probabilities(task, logits, temperature)
    sure, right = p.max(axis=-1), p.argmax(axis=-1) == gold
    return float(-np.log(np.where(right, sure, 1 - sure) + tiny).mean())


def _kappa(gold: Labels, level: Labels, k: int) -> float:
    i = np.arange(k)
    a, b = np.bincount(gold, minlength=k), np.bincount(level, minlength=k)
    expected = float(a @ i**2 + b @ i**2 - 2 * (a @ i) * (b @ i) / len(gold))
    return 1 - float(((gold - level) ** 2).sum()) / expected if expected > 0 else 0.0
