"""From the numbers that a model puts out to probabilities, for every kind of task, in numpy alone.

Both models put out logits of the same shapes, so that calibration, evaluation and scoring know one form:

| kind    | logits      | probabilities | meaning of the logits                                        |
|---------|-------------|---------------|--------------------------------------------------------------|
| single  | (n, k)      | (n, k)        | softmax                                                      |
| ordinal | (n, k - 1)  | (n, k)        | CORN: column j is logit P(y > j given y > j - 1)             |
| multi   | (n, k)      | (n, k)        | one sigmoid a label                                          |
| aspect  | (n, c, 4)   | (n, c, 4)     | softmax over not mentioned, negative, neutral, positive      |

CORN: Shi, Cao, Raschka, "Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional
Probabilities", 2021 (arXiv:2111.08851).
"""

import numpy as np
import numpy.typing as npt

from pipeline.schema import Kind, Task

Array = npt.NDArray[np.float64]

ASPECT_STATES = ("not_mentioned", "negative", "neutral", "positive")
"""The four states of an aspect, in the order of its logits; a polarity p is the state p + 2."""


def head_width(task: Task) -> tuple[int, ...]:
    """Trailing shape of a task's logits, without the axis of the texts."""
    labels = len(task.labels)
    if task.kind is Kind.ORDINAL:
        return (labels - 1,)
    if task.kind is Kind.ASPECT:
        return (labels, len(ASPECT_STATES))
    return (labels,)


def probability_width(task: Task) -> tuple[int, ...]:
    """Trailing shape of a task's probabilities, without the axis of the texts."""
    labels = len(task.labels)
    return (labels, len(ASPECT_STATES)) if task.kind is Kind.ASPECT else (labels,)


def probabilities(task: Task, logits: npt.ArrayLike, temperature: float = 1.0) -> Array:
    """Probabilities of one task, in float64.

    `logits`: (n, *head_width(task)), divided by `temperature` first. Returns (n, *probability_width(task)).
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if task.kind is Kind.ORDINAL:
        return levels(np.cumprod(sigmoid(scaled), axis=-1, dtype=np.float64))
    if task.kind is Kind.MULTI:
        return sigmoid(scaled)
    return softmax(scaled)


def softmax(logits: Array) -> Array:
    """Softmax over the last axis; the largest logit is subtracted first, so that no exponent overflows."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)


def sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-x)), written with tanh because exp(1000) overflows."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float64)


def exceedance(levels_: Array) -> Array:
    """P(y > j) for j = 0 … k - 2, out of the probabilities of the levels. (n, k) -> (n, k - 1)."""
    return np.asarray(np.cumsum(levels_[..., ::-1], axis=-1)[..., ::-1][..., 1:], dtype=np.float64)


def levels(exceeds: Array) -> Array:
    """The inverse of `exceedance`. (n, k - 1) falling from left to right -> (n, k) that sum to 1."""
    ones = np.ones((*exceeds.shape[:-1], 1))
    padded = np.concatenate([ones, exceeds, np.zeros_like(ones)], axis=-1)
    return np.asarray(padded[..., :-1] - padded[..., 1:], dtype=np.float64)
