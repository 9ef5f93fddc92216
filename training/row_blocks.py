"""The numbers of each row that figures are sums of: hits, gold and decided counts, distances, calibration gaps."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Kind, Task
from training.columns import Decided, Floats, Labels, labeled

Blocks = dict[str, Floats]
"""Name -> (n, width)."""

ECE_BINS = 10


def row_blocks(task: Task, gold: Labels, decided: Decided, probabilities: Floats) -> Blocks:
    """All blocks of one task; rows without a gold label are zero in each, `rows` included."""
    known = labeled(gold)
    blocks = {"rows": np.ones((len(gold), 1))} | _BLOCKS[task.kind](task, gold, decided, probabilities, known)
    return {name: block * known[:, None] for name, block in blocks.items()}


def _exclusive(task: Task, gold: Labels, decided: Decided, _: Floats, known: NDArray[np.bool_]) -> Blocks:
    identity = np.eye(len(task.labels))
    gold_hot, decided_hot = identity[np.where(known, gold, 0)], identity[decided.labels]
    hit = gold_hot * decided_hot
    return {
        "gold": gold_hot,
        "decided": decided_hot,
        "hit": hit,
        "gap": _gaps(decided.confidence[:, None], hit.sum(axis=1)[:, None], known),
    }


def _ordinal(task: Task, gold: Labels, decided: Decided, p: Floats, known: NDArray[np.bool_]) -> Blocks:
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


def _multi(_: Task, gold: Labels, decided: Decided, p: Floats, known: NDArray[np.bool_]) -> Blocks:
    gold_hot, decided_hot = (gold == 1).astype(np.float64), decided.labels.astype(np.float64)
    return {
        "gold": gold_hot,
        "decided": decided_hot,
        "hit": gold_hot * decided_hot,
        "exact": (gold_hot == decided_hot).all(axis=1, keepdims=True).astype(np.float64),
        "gap": _gaps(p, gold_hot, known),
    }


def _aspect(_: Task, gold: Labels, decided: Decided, p: Floats, known: NDArray[np.bool_]) -> Blocks:
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


_BLOCKS: dict[Kind, Callable[[Task, Labels, Decided, Floats, NDArray[np.bool_]], Blocks]] = {
    Kind.SINGLE: _exclusive,
    Kind.ORDINAL: _ordinal,
    Kind.MULTI: _multi,
    Kind.ASPECT: _aspect,
}
