"""A model's answers for labelled examples, as columns beside their gold labels: what every figure is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.calibration import Calibration
from models.predictor import Columns
from pipeline.columns import NAME_COLUMNS
from pipeline.errors import DataError, TextError
from pipeline.feedback import Example
from pipeline.prepare import prepare
from pipeline.schema import LabelSchema, Task
from training.columns import Decided, Floats, Labels, decide, gold_columns
from training.metrics import RowStatistics, defined, row_statistics


class ColumnPredictor(Protocol):
    """A model that scores many texts at once; models.predictor.BundlePredictor is one."""

    schema: LabelSchema
    calibration: Calibration
    model_version: str

    def predict_columns(self, texts: Sequence[str]) -> Columns: ...


@dataclass(frozen=True)
class Scored:
    """Examples with calibrated probabilities: (n, k) a task, (n, c, 4) for aspect tasks."""

    examples: Sequence[Example]
    schema: LabelSchema
    calibration: Calibration
    model_version: str
    probabilities: Mapping[str, Floats]
    gold: Mapping[str, Labels]

    @property
    def tasks(self) -> list[Task]:
        """Tasks that have gold labels."""
        return [task for task in self.schema.tasks if task.name in self.gold]

    def decided(self, task: Task) -> Decided:
        return decide(task, self.probabilities[task.name], self.calibration.task(task.name))

    def statistics(self, task: Task) -> RowStatistics:
        return row_statistics(
            task, self.gold[task.name], self.probabilities[task.name], calibration=self.calibration.task(task.name)
        )

    def metrics(self, split: str) -> dict[str, float]:
        """All figures that are defined, named `split/task/figure`."""
        return {
            f"{split}/{task.name}/{name}": value
            for task in self.tasks
            for name, value in defined(self.statistics(task).figures()).items()
        }


def common_tasks(schema: LabelSchema, other: LabelSchema) -> tuple[Task, ...]:
    """Tasks of `schema` that `other` has too, of the same kind and with the same labels in the same order."""
    return tuple(task for task in schema.tasks if task.name in other and _same(task, other.task(task.name)))


def score_examples(
    predictor: ColumnPredictor, examples: Sequence[Example], *, labels: LabelSchema | None = None
) -> Scored:
    """Score all examples; where they were read with the `labels` of another model, only tasks with the same labels.

    Raises DataError: `nothing_to_compare` without such a task, `nothing_to_evaluate` without a labelled example,
    `bad_row` for a text that cannot be scored.
    """
    asked = predictor.schema.tasks if labels is None else common_tasks(predictor.schema, labels)
    if not asked:
        message = f"{predictor.model_version} has no task with the labels that these rows were read with; name another"
        raise DataError("nothing_to_compare", message)
    gold = gold_columns(examples, LabelSchema(predictor.schema.name, predictor.schema.version, asked))
    if not gold:
        tasks = ", ".join(task.name for task in asked)
        raise DataError(
            "nothing_to_evaluate",
            f"expected rows labelled for one of {tasks}; found none in {len(examples)} rows; {NAME_COLUMNS}",
        )
    try:
        columns = predictor.predict_columns([example.text for example in examples])
    except TextError:
        raise _bad_row(examples) from None
    return Scored(
        examples=examples,
        schema=predictor.schema,
        calibration=predictor.calibration,
        model_version=predictor.model_version,
        probabilities={name: np.asarray(p, dtype=np.float64) for name, p in columns.probabilities.items()},
        gold=gold,
    )


def _same(task: Task, other: Task) -> bool:
    return task.kind is other.kind and task.keys == other.keys


def _bad_row(examples: Sequence[Example]) -> DataError:
    """Which row it was: the predictor only says what is wrong with it."""
    for row, example in enumerate(examples, 1):
        try:
            prepare(example.text)
        except TextError as error:
            return DataError("bad_row", f"row {row} cannot be scored: {error.message}; mend or remove it")
    return DataError("bad_row", "a row cannot be scored; `fankui data check` tells which")
