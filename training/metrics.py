"""Figures of one task, written as functions of sums over rows.

Every figure here needs only sums of a few numbers a row (hits, gold and decided counts, squared distances, gaps of a
calibration bin). So a plain evaluation, a slice and a thousand bootstrap draws are the same code with other weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import TaskCalibration
from pipeline.schema import Kind, Task
from training.columns import Floats, Labels, decide, labeled
from training.row_blocks import row_blocks

Figures = dict[str, Floats]
"""Name -> (draws,) values, NaN where a draw leaves it undefined."""

HEADLINE = {Kind.SINGLE: "macro_f1", Kind.ORDINAL: "qwk", Kind.MULTI: "micro_f1", Kind.ASPECT: "f1"}
"""The figure that stands for a task in tables and comparisons."""


@dataclass(frozen=True)
class RowStatistics:
    """Numbers a row, (n, width) a block; rows without a gold label are all zero."""

    task: Task
    blocks: Mapping[str, Floats]
    labeled: NDArray[np.bool_]  # (n,)

    def sums(self, weights: NDArray[np.floating] | None = None) -> Figures:
        """Sums of each block under (draws, n) weights, (draws, width); without weights one draw of the rows as is."""
        if weights is None:
            return {name: block.sum(axis=0, keepdims=True) for name, block in self.blocks.items()}
        stacked = np.hstack(list(self.blocks.values())).astype(weights.dtype)
        edges = np.cumsum([block.shape[1] for block in self.blocks.values()])[:-1]
        parts = np.split((weights @ stacked).astype(np.float64), edges, axis=1)
        return dict(zip(self.blocks, parts, strict=True))

    def figures(self, weights: NDArray[np.floating] | None = None) -> Figures:
        """All figures of the task, (draws,) each."""
        return _FIGURES[self.task.kind](self.task, self.sums(weights))


def row_statistics(
    task: Task, gold: Labels, probabilities: Floats, *, calibration: TaskCalibration | None = None
) -> RowStatistics:
    """Per-row numbers of one task from gold codes and (n, k) or (n, c, 4) probabilities."""
    calibration = calibration or TaskCalibration()
    known = labeled(gold)
    decided = decide(task, probabilities, calibration)
    blocks = row_blocks(task, gold, decided, np.asarray(probabilities, dtype=np.float64))
    return RowStatistics(task, blocks, known)


def measure(
    task: Task, gold: Labels, probabilities: Floats, *, calibration: TaskCalibration | None = None
) -> dict[str, float]:
    """Figures of one task on all rows that are labelled for it; a figure that is undefined there is absent."""
    statistics = row_statistics(task, gold, probabilities, calibration=calibration)
    return defined(statistics.figures())


def defined(figures: Figures) -> dict[str, float]:
    """The first draw of each figure, without the undefined ones."""
    return {name: float(values[0]) for name, values in figures.items() if not np.isnan(values[0])}


# ---------------------------------------------------------------- figures from sums


def _exclusive_figures(task: Task, sums: Figures) -> Figures:
    rows, hit = sums["rows"][:, 0], sums["hit"].sum(axis=1)
    figures = {"rows": rows, "accuracy": _ratio(hit, rows), "macro_f1": _macro_f1(sums), "ece": _ece(sums)}
    return figures | _by_label(task, sums)


def _ordinal_figures(task: Task, sums: Figures) -> Figures:
    rows = sums["rows"][:, 0]
    figures = _exclusive_figures(task, sums) | {
        "qwk": _quadratic_kappa(sums),
        "mae": _ratio(sums["distance"][:, 0], rows),
        "under_rate": _ratio(sums["under"][:, 0], rows),
        "over_rate": _ratio(sums["over"][:, 0], rows),
    }
    if "late" in sums:
        figures["late_minutes"] = _ratio(sums["late"][:, 0], rows)
    if "alert" in sums:
        gold, decided, hit, flagged = sums["alert"].T
        figures |= {
            "recall.alert": _ratio(hit, gold),
            "precision.alert": np.where(gold > 0, _share(hit, decided), np.nan),
            "recall_top_quarter.alert": _ratio(flagged, gold),
            "support.alert": gold,
        }
    return figures


def _multi_figures(task: Task, sums: Figures) -> Figures:
    rows = sums["rows"][:, 0]
    figures = {"rows": rows, "accuracy": _ratio(sums["exact"][:, 0], rows)}
    figures |= {"micro_" + name: values for name, values in _micro(sums).items()}
    return figures | {"macro_f1": _macro_f1(sums), "ece": _ece(sums)} | _by_label(task, sums)


def _aspect_figures(task: Task, sums: Figures) -> Figures:
    mentions = {"gold": sums["gold"], "decided": sums["decided"], "hit": sums["found"]}
    figures = (
        {"rows": sums["rows"][:, 0]}
        | _micro(sums)
        | {
            "macro_f1": _macro_f1(sums),
            "mention_f1": _micro(mentions)["f1"],
            "polarity_accuracy": _ratio(sums["hit"].sum(axis=1), sums["found"].sum(axis=1)),
            "ece": _ece(sums),
        }
    )
    return figures | _by_label(task, sums)


def _micro(sums: Figures) -> Figures:
    gold, decided, hit = (sums[name].sum(axis=1) for name in ("gold", "decided", "hit"))
    return {
        "precision": np.where(gold > 0, _share(hit, decided), _ratio(hit, decided)),
        "recall": _ratio(hit, gold),
        "f1": _ratio(2 * hit, gold + decided),
    }


def _macro_f1(sums: Figures) -> Floats:
    """Mean F1 over the labels that occur in gold; a label that a sample lacks is no evidence either way."""
    occurs = sums["gold"] > 0
    f1 = np.where(occurs, _share(2 * sums["hit"], sums["gold"] + sums["decided"]), 0)
    return _ratio(f1.sum(axis=1), occurs.sum(axis=1).astype(np.float64))


def _by_label(task: Task, sums: Figures) -> Figures:
    gold, decided, hit = sums["gold"], sums["decided"], sums["hit"]
    occurs = gold > 0
    tables = {
        "precision": np.where(occurs, _share(hit, decided), np.nan),
        "recall": _ratio(hit, gold),
        "f1": np.where(occurs, _share(2 * hit, gold + decided), np.nan),
        "support": np.where(occurs, gold, np.nan),
    }
    return {f"{name}.{key}": table[:, i] for name, table in tables.items() for i, key in enumerate(task.keys)}


def _quadratic_kappa(sums: Figures) -> Floats:
    """Cohen's kappa with quadratic weights, from squared distances and the two margins."""
    levels = np.arange(sums["gold"].shape[1])
    rows = sums["rows"][:, 0]
    product = _ratio((sums["gold"] @ levels) * (sums["decided"] @ levels), rows)
    expected = sums["gold"] @ levels**2 + sums["decided"] @ levels**2 - 2 * product
    # In exact arithmetic `expected` is zero when both sides hold one level only; rounding leaves about 1e-13.
    return np.asarray(1 - _ratio(sums["squared"][:, 0], np.where(expected > 1e-9, expected, 0)))


def _ece(sums: Figures) -> Floats:
    """Expected calibration error over equal-mass bins [Nixon et al. 2019]: mean |confidence - correctness| a bin."""
    return _ratio(np.abs(sums["gap"]).sum(axis=1), sums["rows"][:, 0])


def _ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where there is nothing to divide by."""
    return np.asarray(np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0))


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, 0 where there is nothing to divide by, as scikit-learn's zero_division=0."""
    return np.asarray(np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0))


_FIGURES = {
    Kind.SINGLE: _exclusive_figures,
    Kind.ORDINAL: _ordinal_figures,
    Kind.MULTI: _multi_figures,
    Kind.ASPECT: _aspect_figures,
}
