"""Gold and decided labels as columns: one integer array a task, rows in the order of the examples.

Codes: single and ordinal (n,) label ids; multi (n, k) 0 or 1; aspect (n, c) 0 not mentioned, 1 negative, 2 neutral,
3 positive. A row that has no gold label for the task is -1 throughout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import TaskCalibration
from models.decide import chosen_labels, chosen_polarities, confidence
from pipeline.errors import DataError
from pipeline.feedback import Example, Gold
from pipeline.schema import Kind, LabelSchema, Task

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

UNLABELED = -1


@dataclass(frozen=True, slots=True)
class Decided:
    """What a model answers for one task: label codes as above, and how sure it is of them.

    `confidence` is (n,) for single, ordinal and multi; (n, c) for aspect: P(the decided polarity), or
    P(not mentioned) where the category is not given.
    """

    labels: Labels
    confidence: Floats


def gold_columns(examples: Sequence[Example], schema: LabelSchema) -> dict[str, Labels]:
    """Gold labels of every task that at least one example is labelled for; SchemaError for an unknown label."""
    columns = {}
    for task in schema.tasks:
        column = _blank(task, len(examples))
        rows = [i for i, example in enumerate(examples) if task.name in example.labels]
        for i in rows:
            column[i] = _code(task, examples[i].labels[task.name])
        if rows:
            columns[task.name] = column
    return columns


def labeled(column: Labels) -> NDArray[np.bool_]:
    """(n,) True where the row has a gold label."""
    return np.asarray(column.reshape(len(column), -1)[:, 0] != UNLABELED)


def decide(task: Task, probabilities: NDArray[Any], calibration: TaskCalibration) -> Decided:
    """Labels as the product gives them: (n, k) probabilities, (n, c, 4) for aspect, through cuts and thresholds."""
    p = np.asarray(probabilities, dtype=np.float64)
    if task.kind is Kind.ASPECT:
        states = chosen_polarities(p, calibration).astype(np.int64) + 2
        return Decided(states, np.take_along_axis(p, states[:, :, None], axis=2)[:, :, 0])
    chosen = chosen_labels(task, p, calibration)
    if task.kind is not Kind.MULTI:
        return Decided(np.array(chosen, dtype=np.int64).reshape(-1), confidence(task, p, chosen))
    given = np.zeros(p.shape, dtype=np.int64)
    for row, labels_given in enumerate(chosen):
        given[row, list(labels_given)] = 1
    return Decided(given, confidence(task, p, chosen))


def _blank(task: Task, rows: int) -> Labels:
    shape = (rows, len(task.labels)) if task.kind in (Kind.MULTI, Kind.ASPECT) else (rows,)
    return np.full(shape, UNLABELED, dtype=np.int64)


def _code(task: Task, gold: Gold) -> int | Labels:
    if task.kind in (Kind.SINGLE, Kind.ORDINAL) and isinstance(gold, str):
        return task.index(gold)
    row = np.zeros(len(task.labels), dtype=np.int64)
    if task.kind is Kind.MULTI and not isinstance(gold, str | Mapping):
        row[[task.index(key) for key in gold]] = 1
        return row
    if task.kind is Kind.ASPECT and isinstance(gold, Mapping):
        for key, polarity in gold.items():
            row[task.index(key)] = polarity + 2
        return row
    expected = {Kind.MULTI: "a list of labels", Kind.ASPECT: "a polarity for each label"}.get(task.kind, "one label")
    raise DataError(
        "labels_invalid", f"task {task.name!r} is {task.kind} and needs {expected}; found {type(gold).__name__}"
    )
