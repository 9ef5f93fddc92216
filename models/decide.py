"""Labels out of calibrated probabilities, for any schema: the one place where a probability becomes an answer."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration, TaskCalibration
from models.heads import Array, exceedance
from pipeline.feedback import AspectPrediction, Prediction, TaskPrediction
from pipeline.routing_zone import CONTRADICTION
from pipeline.schema import POLARITIES, Kind, LabelSchema, Task


def decide(
    schema: LabelSchema,
    calibration: Calibration,
    probabilities: Mapping[str, Array],
    *,
    model_version: str,
    truncated: npt.NDArray[np.bool_],
    windows: npt.NDArray[np.intp],
    flags: Sequence[tuple[str, ...]],
) -> list[Prediction]:
    """One Prediction a row. `probabilities`: task -> (n, k), for an aspect task (n, c, 4)."""
    labels: dict[str, list[tuple[int, ...]]] = {}
    polarities: dict[str, npt.NDArray[np.int8]] = {}
    tasks: dict[str, list[TaskPrediction]] = {}
    aspects: dict[str, list[tuple[AspectPrediction, ...]]] = {}
    mentioned: dict[str, list[dict[str, float]]] = {}
    for task in schema.tasks:
        rows, settings = probabilities[task.name], calibration.task(task.name)
        if task.kind is Kind.ASPECT:
            polarities[task.name] = chosen_polarities(rows, settings)
            aspects[task.name] = [
                aspect_predictions(task, *row) for row in zip(rows, polarities[task.name], strict=True)
            ]
            mentioned[task.name] = [dict(zip(task.keys, row, strict=True)) for row in (1.0 - rows[..., 0]).tolist()]
        else:
            chosen = labels[task.name] = chosen_labels(task, rows, settings)
            answers = zip(rows, chosen, confidence(task, rows, chosen).tolist(), strict=True)
            tasks[task.name] = [task_prediction(task, row, given, certainty) for row, given, certainty in answers]
    alerts = {task.name: alert_score(task, probabilities[task.name]) for task in schema.tasks if has_alerts(task)}
    satisfied = satisfaction(schema, probabilities)
    flags = with_contradictions(schema, flags, labels=labels, polarities=polarities)
    return [
        Prediction(
            tasks={name: found[i] for name, found in tasks.items()},
            aspects={name: found[i] for name, found in aspects.items()},
            model_version=model_version,
            mentioned={name: found[i] for name, found in mentioned.items()},
            scores={name: float(found[i]) for name, found in alerts.items()},
            satisfaction=None if satisfied is None else float(satisfied[i]),
            truncated=bool(truncated[i]),
            windows=int(windows[i]),
            flags=flags[i],
        )
        for i in range(len(flags))
    ]


def chosen_labels(task: Task, rows: Array, settings: TaskCalibration) -> list[tuple[int, ...]]:
    """Indices of the labels given: one for single and ordinal tasks, any number for multi. `rows`: (n, k)"""
    if task.kind is Kind.MULTI:
        return [tuple(np.flatnonzero(row >= settings.mentioned).tolist()) for row in rows]
    if task.kind is Kind.ORDINAL:
        cuts = np.array(settings.cuts or [0.5] * (len(task.labels) - 1))
        return [(int(level),) for level in (exceedance(rows) >= cuts).sum(axis=1)]
    return [(int(best),) for best in rows.argmax(axis=1)]


def confidence(task: Task, rows: Array, chosen: Sequence[tuple[int, ...]]) -> Array:
    """How sure each row's labels are, for single, ordinal and multi tasks: the label's probability. (n, k) -> (n,)

    Of several labels it is the smallest. None is an answer too: as probable as that the likeliest label is absent.
    """
    if task.kind is Kind.MULTI:
        least = [row[list(given)].min() if given else 1.0 - row.max() for row, given in zip(rows, chosen, strict=True)]
        return np.array(least, dtype=np.float64)
    return np.asarray(rows[np.arange(len(rows)), np.array([given[0] for given in chosen], dtype=np.intp)])


def task_prediction(task: Task, row: Array, chosen: tuple[int, ...], certainty: float) -> TaskPrediction:
    """One row's answer to a single, ordinal or multi task, out of what `chosen_labels` and `confidence` say of it."""
    keys = tuple(task.keys[i] for i in chosen)
    values = dict(zip(task.keys, row.tolist(), strict=True))
    return TaskPrediction(keys if task.kind is Kind.MULTI else keys[0], certainty, values)


def chosen_polarities(rows: Array, settings: TaskCalibration) -> npt.NDArray[np.int8]:
    """Of every category -1, 0 or 1, or -2 where it is not mentioned. (n, c, 4) -> (n, c)"""
    mentioned = 1.0 - rows[..., 0] >= settings.mentioned
    return np.where(mentioned, rows[..., 1:].argmax(axis=-1) - 1, -2).astype(np.int8)


def has_alerts(task: Task) -> bool:
    """Whether the task gets a `<task>_score`."""
    return task.kind is Kind.ORDINAL and any(label.alert for label in task.labels)


def alert_score(task: Task, rows: Array) -> Array:
    """P(any label marked `alert`). (n, k) -> (n,)"""
    return np.asarray(rows[:, [label.alert for label in task.labels]].sum(axis=1).clip(0.0, 1.0))


def satisfaction_task(schema: LabelSchema) -> Task | None:
    """The first task whose labels all say how satisfied they are."""
    for task in schema.tasks:
        if task.kind in (Kind.SINGLE, Kind.ORDINAL) and all(label.satisfaction is not None for label in task.labels):
            return task
    return None


def satisfaction(schema: LabelSchema, probabilities: Mapping[str, Array]) -> Array | None:
    """Expected satisfaction on the scale 1 to 5, (n,), or None where no task tells it."""
    task = satisfaction_task(schema)
    if task is None:
        return None
    worth = np.array([label.satisfaction or 0.0 for label in task.labels])
    return np.asarray(1.0 + 4.0 * (probabilities[task.name] @ worth).clip(0.0, 1.0))


def with_contradictions(
    schema: LabelSchema,
    flags: Sequence[tuple[str, ...]],
    *,
    labels: Mapping[str, Sequence[tuple[int, ...]]],
    polarities: Mapping[str, npt.NDArray[np.int8]],
) -> list[tuple[str, ...]]:
    """The rows' flags, with CONTRADICTION where the whole is bad and all that is mentioned good, or the reverse.

    The whole is the answer of the satisfaction task. `labels` are of `chosen_labels`, `polarities` of
    `chosen_polarities`.
    """
    task = satisfaction_task(schema)
    if task is None or not polarities:
        return list(flags)
    worth = [label.satisfaction or 0.0 for label in task.labels]
    every = np.concatenate(list(polarities.values()), axis=1)
    # What is not mentioned, -2, lies below any polarity; for the lowest of those mentioned it must lie above.
    good, bad = np.where(every == -2, 2, every).min(axis=1) == 1, every.max(axis=1) == -1
    # Whoever asked for the predictions counts them.
    rows = zip(flags, labels[task.name], good.tolist(), bad.tolist(), strict=False)
    return [
        (*given, CONTRADICTION) if (worth[label] < 0.5 and praised) or (worth[label] > 0.5 and blamed) else given
        for given, (label,), praised, blamed in rows
    ]


def aspect_predictions(task: Task, row: Array, polarities: npt.NDArray[np.int8]) -> tuple[AspectPrediction, ...]:
    """One row's answer to an aspect task, most certain first. `row`: (c, 4); `polarities`: (c,)"""
    found = [_aspect(task.keys[i], row[i], int(polarities[i])) for i in np.flatnonzero(polarities > -2)]
    return tuple(sorted(found, key=lambda aspect: -aspect.mentioned))


def _aspect(category: str, states: Array, polarity: int) -> AspectPrediction:
    mentioned = float(1.0 - states[0])
    given = states[1:] / states[1:].sum()
    return AspectPrediction(
        category=category,
        polarity=polarity,
        probability=float(states[polarity + 2]),
        mentioned=mentioned,
        probabilities=dict(zip(POLARITIES.values(), given.tolist(), strict=True)),
        satisfaction=float(1.0 + 4.0 * (given[2] + given[1] / 2)),
    )
