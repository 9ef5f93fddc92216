"""Risk–coverage: how precise the surest answers are, and the threshold for a wanted precision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import TaskCalibration
from pipeline.routing import NEVER
from pipeline.schema import Kind, Task
from training.columns import Decided, Floats, Labels, labeled


@dataclass(frozen=True, slots=True)
class Coverage:
    """Answers ordered from the surest down: (m,) arrays. Row i is what taking the first i + 1 answers gives."""

    confidence: Floats
    coverage: Floats
    precision: Floats

    @property
    def area_under_risk(self) -> float:
        """Mean error over all coverages (AURC, Geifman and El-Yaniv 2018); lower is better."""
        return float(np.mean(1 - self.precision))

    def threshold(self, precision: float) -> float:
        """The least confidence whose surest answers reach `precision`, or NEVER.

        One mistake is added to those seen, so that nine answers without a mistake are the least that prove 0.9.
        """
        if not len(self.confidence):
            return NEVER
        count = np.arange(1, len(self.confidence) + 1)
        careful = self.precision * count / (count + 1)
        # Equal confidences come together: only the last of a run is a possible threshold.
        last_of_run = np.append(self.confidence[1:] < self.confidence[:-1], True)
        reached = np.flatnonzero((careful >= precision) & last_of_run)
        return float(self.confidence[reached[-1]]) if len(reached) else NEVER

    def at(self, threshold: float) -> dict[str, float]:
        """Share of answers that reach `threshold`, and their precision where there are any."""
        taken = int((self.confidence >= threshold).sum())
        if not taken:
            return {"coverage": 0.0}
        return {"coverage": float(self.coverage[taken - 1]), "precision": float(self.precision[taken - 1])}


def coverage(task: Task, gold: Labels, decided: Decided) -> Coverage:
    """Risk–coverage of one task. An answer is a row; for aspects it is each category given with its polarity."""
    answers = _answers(task, gold, decided)
    confidence, correct = answers[0], answers[1]
    order = np.argsort(-confidence, kind="stable")
    count = np.arange(1, len(order) + 1)
    return Coverage(confidence[order], count / max(len(order), 1), np.cumsum(correct[order]) / count)


def zones(curve: Coverage, calibration: TaskCalibration) -> dict[str, float]:
    """What the thresholds `auto` and `suggest` give on these rows: share and precision of each zone's answers."""
    return {
        f"{zone}_{name}": value
        for zone, threshold in (("auto", calibration.auto), ("suggest", calibration.suggest))
        for name, value in curve.at(threshold).items()
    }


def _answers(task: Task, gold: Labels, decided: Decided) -> tuple[Floats, NDArray[np.bool_]]:
    known = labeled(gold)
    right = gold[known] == decided.labels[known]
    confidence = decided.confidence[known]
    if task.kind is Kind.ASPECT:
        given = decided.labels[known] > 0
        return confidence[given], right[given]
    return confidence, right.all(axis=1) if task.kind is Kind.MULTI else right
