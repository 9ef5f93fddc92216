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
from training.columns import Decided, Floats, Labels, decide, labeled

Figures = dict[str, Floats]
"""Name -> (draws,) values, NaN where a draw leaves it undefined."""

ECE_BINS = 10

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
    blocks = _BLOCKS[task.kind](task, gold, decided, np.asarray(probabilities, dtype=np.float64), known)
    blocks = {"rows": np.ones((len(gold), 1))} | blocks
    return RowStatistics(task, {name: block * known[:, None] for name, block in blocks.items()}, known)


def measure(
    task: Task, gold: Labels, probabilities: Floats, *, calibration: TaskCalibration | None = None
) -> dict[str, float]:
    """Figures of one task on all rows that are labelled for it; a figure that is undefined there is absent."""
    statistics = row_statistics(task, gold, probabilities, calibration=calibration)
    return defined(statistics.figures())


def defined(figures: Figures) -> dict[str, float]:
    """The first draw of each figure, without the undefined ones."""
    return {name: float(values[0]) for name, values in figures.items() if not np.isnan(values[0])}


# ---------------------------------------------------------------- numbers a row


def _exclusive(task: Task, gold: Labels, decided: Decided, _: Floats, known: NDArray[np.bool_]) -> dict[str, Floats]:
    identity = np.eye(len(task.labels))
    gold_hot, decided_hot = identity[np.where(known, gold, 0)], identity[decided.labels]
    hit = gold_hot * decided_hot
    return {
        "gold": gold_hot,
        "decided": decided_hot,
        "hit": hit,
        "gap": _gaps(decided.confidence[:, None], hit.sum(axis=1)[:, None], known),
    }


def _ordinal(task: Task, gold: Labels, decided: Decided, p: Floats, known: NDArray[np.bool_]) -> dict[str, Floats]:
    blocks = _exclusive(task, gold, decided, p, known)
    step = (decided.labels - np.where(known, gold, 0)).astype(np.float64)
    blocks |= {
        "distance": np.abs(step)[:, None],
        "squared": (step**2)[:, None],
        "under": (step < 0)[:, None].astype(np.float64),
        "over": (step > 0)[:, None].astype(np.float64),
    }
    minutes = [label.respond_within for label in task.labels]
    if None not in minutes:
        allowed = np.array(minutes, dtype=np.float64)
        late = np.maximum(allowed[decided.labels] - allowed[np.where(known, gold, 0)], 0)
        blocks["late"] = late[:, None]
    alert = np.array([label.alert for label in task.labels])
    if alert.any():
        gold_alert, decided_alert = alert[np.where(known, gold, 0)], alert[decided.labels]
        flagged = _top_quarter(p[:, alert].sum(axis=1), known)
        columns = [gold_alert, decided_alert, gold_alert & decided_alert, gold_alert & flagged]
        blocks["alert"] = np.stack(columns, axis=1).astype(np.float64)
    return blocks


def _multi(_: Task, gold: Labels, decided: Decided, p: Floats, known: NDArray[np.bool_]) -> dict[str, Floats]:
    gold_hot, decided_hot = (gold == 1).astype(np.float64), decided.labels.astype(np.float64)
    return {
        "gold": gold_hot,
        "decided": decided_hot,
        "hit": gold_hot * decided_hot,
        "exact": (gold_hot == decided_hot).all(axis=1, keepdims=True).astype(np.float64),
        "gap": _gaps(p, gold_hot, known),
    }


def _aspect(_: Task, gold: Labels, decided: Decided, p: Floats, known: NDArray[np.bool_]) -> dict[str, Floats]:
    gold_hot, decided_hot = gold > 0, decided.labels > 0
    return {
        "gold": gold_hot.astype(np.float64),
        "decided": decided_hot.astype(np.float64),
        "found": (gold_hot & decided_hot).astype(np.float64),
        "hit": (gold_hot & (gold == decided.labels)).astype(np.float64),
        "gap": _gaps(1 - p[:, :, 0], gold_hot.astype(np.float64), known),
    }


def _gaps(confidence: Floats, correct: Floats, known: NDArray[np.bool_]) -> Floats:
    """(n, bins) confidence minus correctness, in the bin of its confidence; equal-mass bins over labelled rows."""
    n, width = confidence.shape
    bins = np.zeros((n, width), dtype=np.int64)
    bins[known] = equal_mass_bins(confidence[known].ravel(), ECE_BINS).reshape(-1, width)
    gaps = np.zeros((n, ECE_BINS))
    np.add.at(gaps, (np.repeat(np.arange(n), width), bins.ravel()), (confidence - correct).ravel())
    return np.asarray(gaps / width)


def equal_mass_bins(values: Floats, bins: int) -> NDArray[np.int64]:
    """Bin of each value (n,), 0 the lowest, with as equal counts as can be."""
    order = np.argsort(values, kind="stable")
    result = np.empty(len(values), dtype=np.int64)
    result[order] = np.arange(len(values)) * bins // max(len(values), 1)
    return result


def _top_quarter(scores: Floats, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    ranked = np.argsort(np.where(known, -scores, np.inf), kind="stable")
    flagged = np.zeros(len(scores), dtype=bool)
    flagged[ranked[: -(-int(known.sum()) // 4)]] = True
    return flagged


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


_BLOCKS = {Kind.SINGLE: _exclusive, Kind.ORDINAL: _ordinal, Kind.MULTI: _multi, Kind.ASPECT: _aspect}
_FIGURES = {
    Kind.SINGLE: _exclusive_figures,
    Kind.ORDINAL: _ordinal_figures,
    Kind.MULTI: _multi_figures,
    Kind.ASPECT: _aspect_figures,
}
