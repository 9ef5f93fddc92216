"""The loss of every kind of task, masked where a row has no label, and weights against rare classes.

Targets are training.columns codes: -1 throughout a row means that it has no label for the task.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.schema import Kind, LabelSchema, Task
from training.columns import UNLABELED, Floats, Labels, labeled

Weighting = Literal["balanced", "effective", "none"]

_BETA = 0.999  # of the effective number of samples [Cui et al. 2019]
# A class of one row in a thousand would otherwise weigh a thousand times: one mislabelled row then steers the model.
_HEAVIEST = 10.0


@dataclass(frozen=True, slots=True)
class Whole:
    """What a whole batch is divided by, where several processes hold a part of it each; by task."""

    labels: Mapping[str, int]  # rows that have one
    mass: Mapping[str, float]  # what the mean of `task_loss` divides by


def whole_batch(schema: LabelSchema, targets: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Whole:
    """Of a batch with these targets."""
    labels, mass = {}, {}
    for task in schema.tasks:
        column = targets.get(task.name)
        known = None if column is None else column[_known(column)]
        labels[task.name] = 0 if known is None else len(known)
        mass[task.name] = 0.0 if known is None else _mass(task, known, weights[task.name])
    return Whole(labels, mass)


def total_loss(
    schema: LabelSchema,
    logits: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    whole: Whole | None = None,
) -> Tensor:
    """Mean over all labels in the batch, whatever their tasks; a scalar.

    So a task weighs as much as it has labels. Every head takes part even without one, with a zero, because several
    processes wait for each parameter's gradient. `whole`: these rows are a part of that batch; the sum over all parts
    is then what one process would get for it.
    """
    losses = []
    whole = whole or whole_batch(schema, targets, weights)
    for task in schema.tasks:
        outputs = logits[task.name].float()
        column = targets.get(task.name)
        known = None if column is None else _known(column)
        if column is None or known is None or not bool(known.any()):
            losses.append(outputs.sum() * 0.0)
            continue
        part = _mass(task, column[known], weights[task.name]) / whole.mass[task.name]
        mean = task_loss(task, outputs[known], column[known], weights[task.name])
        losses.append(whole.labels[task.name] * part * mean)
    return torch.stack(losses).sum() / max(sum(whole.labels.values()), 1)


def task_loss(task: Task, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean loss of one task over rows that are all labelled; a scalar.

    `logits` (n, *head_width(task)); `targets` as training.columns codes; `weights` as `class_weights` gives them.
    """
    if task.kind is Kind.SINGLE:
        return functional.cross_entropy(logits, targets, weight=weights)
    if task.kind is Kind.ORDINAL:
        return corn_loss(logits, targets, weights)
    if task.kind is Kind.MULTI:
        return functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), pos_weight=weights)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), weight=weights)


def corn_loss(logits: Tensor, levels: Tensor, weights: Tensor) -> Tensor:
    """Conditional ordinal loss [Shi, Cao, Raschka 2021, arXiv:2111.08851, eq. 8], weighted by the row's level.

    Column j of `logits` (n, k - 1) is learnt only from rows with level >= j: it is P(y > j) given y > j - 1.
    `levels` (n,) 0 to k - 1; `weights` (k,).
    """
    steps = torch.arange(logits.shape[1], device=logits.device)
    asked = _asked(levels, steps, weights).to(logits.dtype)
    answers = (levels[:, None] > steps).to(logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, answers, reduction="none")
    return (losses * asked).sum() / asked.sum()


def _known(column: Tensor) -> Tensor:
    """(n,) True where the row has a label."""
    return column.flatten(1)[:, 0] != UNLABELED if column.dim() > 1 else column != UNLABELED


def _mass(task: Task, targets: Tensor, weights: Tensor) -> float:
    """What `task_loss` divides its sum by."""
    if task.kind is Kind.MULTI:
        return float(targets.numel())
    if task.kind is Kind.ORDINAL:
        return float(_asked(targets, torch.arange(len(weights) - 1, device=targets.device), weights).sum())
    return float(weights[targets].sum())


def _asked(levels: Tensor, steps: Tensor, weights: Tensor) -> Tensor:
    """(n, k - 1) weight of each question that a row is asked, 0 where it is not."""
    return (levels[:, None] >= steps) * weights[levels][:, None]


def class_weights(schema: LabelSchema, gold: Mapping[str, Labels], weighting: Weighting) -> dict[str, Tensor]:
    """Weights of every task's classes, of mean 1 over the rows (multi: weights of a label's presence).

    single, ordinal, multi (k,); aspect (4,) over not mentioned, negative, neutral, positive of all categories.
    """
    found = {}
    for task in schema.tasks:
        column = gold.get(task.name)
        counts = _counts(task, None if column is None else column[labeled(column)])
        weights = _presence(counts, weighting) if task.kind is Kind.MULTI else _balance(counts, weighting)
        found[task.name] = torch.tensor(weights, dtype=torch.float32)
    return found


def _counts(task: Task, column: Labels | None) -> Floats:
    """How often each class occurs; for multi (2, k): rows without and with the label."""
    classes = 4 if task.kind is Kind.ASPECT else len(task.labels)
    if task.kind is Kind.MULTI:
        present = np.zeros(classes) if column is None else column.sum(axis=0).astype(np.float64)
        return np.stack([(0 if column is None else len(column)) - present, present])
    if column is None:
        return np.zeros(classes)
    return np.bincount(column.ravel(), minlength=classes).astype(np.float64)


def _balance(counts: Floats, weighting: Weighting) -> Floats:
    if weighting == "none" or not counts.any():
        return np.ones_like(counts)
    raw = np.where(counts > 0, 1 / np.maximum(_amount(counts, weighting), 1e-12), 0.0)
    mean = (raw * counts).sum() / counts.sum()
    return np.asarray(np.minimum(raw / mean, _HEAVIEST))


def _presence(counts: Floats, weighting: Weighting) -> Floats:
    if weighting == "none":
        return np.ones(counts.shape[1])
    without, present = _amount(counts, weighting)
    return np.asarray(np.clip(without / np.maximum(present, 1.0), 1.0, _HEAVIEST))


def _amount(counts: Floats, weighting: Weighting) -> Floats:
    return counts if weighting == "balanced" else (1 - _BETA**counts) / (1 - _BETA)
