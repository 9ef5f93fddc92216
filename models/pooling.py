"""One answer for a long text out of the answers for its windows."""

import numpy as np
import numpy.typing as npt

from models.heads import Array, exceedance, levels
from pipeline.schema import Kind, Task


def pool(task: Task | None, values: npt.NDArray[np.floating], counts: npt.NDArray[np.intp], lengths: Array) -> Array:
    """Pool the rows of each text's windows. (windows, …) -> (texts, …)

    `counts`: (texts,) windows of each text, at least 1; `lengths`: (windows,) in characters. One threat in a long
    letter is enough, so ordinal, multi and aspect tasks take the most severe window; single tasks and embeddings
    (task None) take the mean, weighted by length.
    """
    rows = np.asarray(values, dtype=np.float64)
    if len(rows) == len(counts):
        return rows
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    if task is None or task.kind is Kind.SINGLE:
        return _mean(rows, starts, lengths)
    if task.kind is Kind.ORDINAL:
        # The maximum per threshold keeps P(y > j) falling in j, so the levels stay a distribution.
        return levels(np.maximum.reduceat(exceedance(rows), starts, axis=0))
    if task.kind is Kind.MULTI:
        return np.maximum.reduceat(rows, starts, axis=0)
    return _most_severe(rows, starts, counts)


def _mean(rows: Array, starts: npt.NDArray[np.intp], lengths: Array) -> Array:
    weights = np.maximum(lengths, 1.0).reshape(-1, *([1] * (rows.ndim - 1)))
    return np.asarray(np.add.reduceat(rows * weights, starts, axis=0) / np.add.reduceat(weights, starts, axis=0))


def _most_severe(rows: Array, starts: npt.NDArray[np.intp], counts: npt.NDArray[np.intp]) -> Array:
    """Per category the window with the largest P(mentioned) + P(negative): a complaint wins over praise. (w, c, 4)"""
    severity = 1.0 - rows[:, :, 0] + rows[:, :, 1]
    pooled = np.empty((len(counts), *rows.shape[1:]))
    for i, (start, count) in enumerate(zip(starts, counts, strict=True)):
        best = severity[start : start + count].argmax(axis=0)
        pooled[i] = rows[start + best, np.arange(rows.shape[1])]
    return pooled
