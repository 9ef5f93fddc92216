"""What a model is worth on labelled rows: figures with intervals, slices, calibration, coverage, beside a baseline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import TaskCalibration
from pipeline.feedback import Example
from pipeline.schema import Kind, LabelSchema, Task
from training.alert_curve import AlertCurve, alert_curve
from training.bootstrap import DRAWS, Interval, intervals
from training.columns import Decided, Floats, Labels, labeled
from training.compare import Comparison, compare
from training.coverage import Coverage, coverage, zones
from training.metrics import HEADLINE
from training.row_blocks import ECE_BINS, equal_mass_bins
from training.scored import ColumnPredictor, Scored, score_examples
from training.slices import slices


@dataclass(frozen=True)
class TaskReport:
    """One task's tables behind its figures."""

    task: Task
    calibration: TaskCalibration
    confusion: NDArray[np.int64] | None  # (k, k), gold in rows; single and ordinal tasks only
    reliability: Floats  # (bins, 3): mean confidence, share right, rows
    coverage: Coverage
    zones: Mapping[str, float]
    alerts: AlertCurve | None = None


@dataclass(frozen=True)
class SliceReport:
    """Headline figures on a part of the rows: `figures` has names such as `urgency/qwk`."""

    name: str
    rows: int
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Report:
    """Everything that an evaluation found. `metrics` has names such as `test/urgency/recall.critical`."""

    split: str
    model_version: str
    schema: LabelSchema
    rows: int
    metrics: dict[str, float]
    intervals: Mapping[str, Interval]
    tasks: tuple[TaskReport, ...]
    slices: tuple[SliceReport, ...]
    baseline: Comparison | None = None

    def figure(self, task: str, name: str) -> float | None:
        """One figure, or None where it is undefined on these rows."""
        return self.metrics.get(f"{self.split}/{task}/{name}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form, without the schema and without any text."""
        return {
            "split": self.split,
            "model_version": self.model_version,
            "schema": {"name": self.schema.name, "version": self.schema.version, "digest": self.schema.digest},
            "rows": self.rows,
            "metrics": self.metrics,
            "intervals": {name: _bounds(found) for name, found in self.intervals.items()},
            "tasks": {part.task.name: _plain(part) for part in self.tasks},
            "slices": [{"name": s.name, "rows": s.rows, "figures": dict(s.figures)} for s in self.slices],
            "baseline": self.baseline.to_dict() if self.baseline else None,
        }


def evaluate(
    predictor: ColumnPredictor,
    examples: Sequence[Example],
    *,
    baseline: ColumnPredictor | None = None,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
) -> Report:
    """Score the examples and report; with a baseline also the paired differences to it."""
    scored = score_examples(predictor, examples)
    reference = score_examples(baseline, examples, labels=predictor.schema) if baseline else None
    return report_on(scored, reference=reference, split=split, draws=draws, seed=seed)


def report_on(
    scored: Scored, *, reference: Scored | None = None, split: str = "test", draws: int = DRAWS, seed: int = 0
) -> Report:
    """The report on answers that are there already."""
    metrics = scored.metrics(split)
    bounds: dict[str, Interval] = {}
    for task in scored.tasks:
        found = intervals(scored.statistics(task), draws=draws, seed=seed)
        bounds |= {f"{split}/{task.name}/{name}": interval for name, interval in found.items()}
    parts = tuple(_task_report(scored, task) for task in scored.tasks)
    for part in parts:
        metrics |= {f"{split}/{part.task.name}/{name}": value for name, value in part.zones.items()}
        if len(part.coverage.precision):
            metrics[f"{split}/{part.task.name}/aurc"] = part.coverage.area_under_risk
    return Report(
        split=split,
        model_version=scored.model_version,
        schema=scored.schema,
        rows=len(scored.examples),
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        intervals=bounds,
        tasks=parts,
        slices=_slice_reports(scored),
        baseline=compare(reference, scored, draws=draws, seed=seed) if reference else None,
    )


def _task_report(scored: Scored, task: Task) -> TaskReport:
    gold, decided = scored.gold[task.name], scored.decided(task)
    curve = coverage(task, gold, decided)
    return TaskReport(
        task=task,
        calibration=scored.calibration.task(task.name),
        confusion=_confusion(task, gold, decided),
        reliability=_reliability(task, gold, decided, scored.probabilities[task.name]),
        coverage=curve,
        zones=zones(curve, scored.calibration.task(task.name)),
        alerts=alert_curve(task, gold, scored.probabilities[task.name]),
    )


def _confusion(task: Task, gold: Labels, decided: Decided) -> NDArray[np.int64] | None:
    if task.kind in (Kind.MULTI, Kind.ASPECT):
        return None
    known, k = labeled(gold), len(task.labels)
    counts = np.bincount(gold[known] * k + decided.labels[known], minlength=k * k)
    return np.asarray(counts.reshape(k, k), dtype=np.int64)


def _reliability(task: Task, gold: Labels, decided: Decided, p: Floats) -> Floats:
    """(bins, 3) mean confidence, share right and rows of equal-mass bins; for multi and aspect of being mentioned."""
    known = labeled(gold)
    if task.kind in (Kind.MULTI, Kind.ASPECT):
        mentioned = p if task.kind is Kind.MULTI else 1 - p[:, :, 0]
        confidence, right = mentioned[known].ravel(), (gold[known] > 0).ravel().astype(np.float64)
    else:
        confidence = decided.confidence[known]
        right = (gold[known] == decided.labels[known]).astype(np.float64)
    bins = equal_mass_bins(confidence, ECE_BINS)
    counts = np.bincount(bins, minlength=ECE_BINS)
    sums = [np.bincount(bins, weights=values, minlength=ECE_BINS) for values in (confidence, right)]
    table = np.stack([*(total / np.maximum(counts, 1) for total in sums), counts], axis=1)
    return np.asarray(table[counts > 0], dtype=np.float64)


def _slice_reports(scored: Scored) -> tuple[SliceReport, ...]:
    parts = slices(scored.examples)
    if not parts:
        return ()
    weights = np.stack(list(parts.values())).astype(np.float64)
    columns = {
        f"{task.name}/{name}": values
        for task in scored.tasks
        for name, values in scored.statistics(task).figures(weights).items()
        if name in (HEADLINE[task.kind], "accuracy", "recall.alert")
    }
    return tuple(
        SliceReport(name, int(weights[i].sum()), {key: float(v[i]) for key, v in columns.items() if not np.isnan(v[i])})
        for i, name in enumerate(parts)
    )


def _bounds(found: Interval) -> list[float | None]:
    return [None if math.isnan(value) else value for value in (found.low, found.high)]


def _plain(part: TaskReport) -> dict[str, Any]:
    rows = len(part.coverage.coverage)
    # A hundred points draw the same curve as ten thousand.
    points = sorted({round(i) for i in np.linspace(0, rows - 1, 100)}) if rows else []
    return {
        "kind": part.task.kind.value,
        "labels": list(part.task.keys),
        "confusion": part.confusion.tolist() if part.confusion is not None else None,
        "reliability": [{"confidence": c, "right": r, "rows": int(n)} for c, r, n in part.reliability.tolist()],
        "risk_coverage": [
            {"coverage": float(part.coverage.coverage[i]), "precision": float(part.coverage.precision[i])}
            for i in points
        ],
        "zones": dict(part.zones),
        "alerts": [
            {"flagged": share, "recall": recall}
            for share, recall in zip(part.alerts.flagged.tolist(), part.alerts.recall.tolist(), strict=True)
        ]
        if part.alerts
        else None,
    }
