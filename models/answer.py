"""A Prediction in the forms that people and programs get it: columns of a scored file, and the item of the HTTP answer.

The one place for both forms' names; generic over any schema.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from models.decide import has_alerts, satisfaction_task
from pipeline.errors import FeedbackError
from pipeline.feedback import AspectPrediction, Decision, Prediction, TaskPrediction
from pipeline.schema import POLARITIES, Kind, LabelSchema

ALTERNATIVES = 3
"""Labels beside the chosen one that the HTTP answer names."""

DIGITS = 6
"""Decimal places of every number in an answer; probabilities are good to two."""

SIGNS = {word: sign for sign, word in POLARITIES.items()}
"""Polarity as answers have it -> -1, 0 or 1."""


def column_kinds(
    schema: LabelSchema, *, routed: bool = False, all_probabilities: bool = False
) -> list[tuple[str, str]]:
    """Name and kind of every output column, in order; the kinds are those of pipeline/writers.py.

    `routed` adds queue, due_at, zone, queue_priority and reasons; `all_probabilities` one column for every label.
    """
    found: list[tuple[str, str]] = []
    for task in schema.tasks:
        if task.kind is Kind.ASPECT:
            found.append((task.name, "aspects"))
        else:
            found.append((task.name, "labels" if task.kind is Kind.MULTI else "text"))
            found.append((f"{task.name}_probability", "number"))
        if has_alerts(task):
            found.append((f"{task.name}_score", "number"))
        if all_probabilities:
            found.extend((f"{task.name}_p_{key}", "number") for key in task.keys)
    if satisfaction_task(schema) is not None:
        found.append(("satisfaction", "number"))
    found += [("truncated", "flag"), ("flags", "labels")]
    if routed:
        found += [("queue", "text"), ("due_at", "time"), ("zone", "text"), ("queue_priority", "integer")]
        found.append(("reasons", "labels"))
    return [*found, ("error", "text"), ("model_version", "text")]


def columns(
    schema: LabelSchema,
    prediction: Prediction | None,
    *,
    model_version: str = "",
    error: FeedbackError | None = None,
    decision: Decision | None = None,
    all_probabilities: bool = False,
) -> dict[str, Any]:
    """One output row by column name. Without a prediction every column is None but `error` and `model_version`.

    An aspect column is {category: -1 | 0 | 1}; `flags`, `reasons` and the column of a multi task are lists, `due_at` is
    a datetime.
    """
    kinds = column_kinds(schema, routed=decision is not None, all_probabilities=all_probabilities)
    row: dict[str, Any] = dict.fromkeys(name for name, _ in kinds)
    row["model_version"] = model_version or None
    if error is not None:
        row["error"] = error_text(error)
    if prediction is not None:
        row.update(_labels(prediction))
        row.update(_numbers(prediction, all_probabilities))
        row["model_version"] = prediction.model_version
    if decision is not None:
        row.update(queue=decision.queue, due_at=decision.due_at, zone=decision.zone)
        row.update(queue_priority=decision.priority, reasons=list(decision.reasons))
    return row


def item(prediction: Prediction, *, decision: Decision | None, id: str = "") -> dict[str, Any]:  # noqa: A002
    """The result of one comment in the answer of `/v1/classify` and of `fankui score --json`."""
    body: dict[str, Any] = {
        "id": id,
        "labels": {name: _task(found) for name, found in prediction.tasks.items()},
        "aspects": _aspects(prediction.aspects),
        **{f"{name}_score": _round(score) for name, score in prediction.scores.items()},
        "satisfaction": None if prediction.satisfaction is None else _round(prediction.satisfaction),
        "decision": None if decision is None else decision_item(decision),
        "truncated": prediction.truncated,
        "windows": prediction.windows,
        "flags": list(prediction.flags),
    }
    return body


def item_columns(schema: LabelSchema, found: Mapping[str, Any], *, model_version: str) -> dict[str, Any]:
    """The row that `columns` would have given, of an `item` or `error_item`; without tasks that the schema lacks."""
    row: dict[str, Any] = dict.fromkeys(name for name, _ in column_kinds(schema, routed=True))
    row["model_version"] = model_version
    if "error" in found:
        return {**row, "error": error_text(FeedbackError(found["error"]["code"], found["error"]["message"]))}
    given = {name: value for name, value in found.items() if name not in ("labels", "aspects", "decision")}
    for name, task in found["labels"].items():
        given |= {name: task["label"], f"{name}_probability": task["probability"]}
    given |= aspect_cells(found["aspects"], schema)
    if (decision := found["decision"]) is not None:
        due_at = decision["due_at"]
        given |= {name: decision[name] for name in ("queue", "zone", "reasons")}
        given |= {"due_at": None if due_at is None else datetime.fromisoformat(due_at)}
        given["queue_priority"] = decision["priority"]
    return row | {name: value for name, value in given.items() if name in row}


def aspect_cells(aspects: Sequence[Mapping[str, Any]], schema: LabelSchema) -> dict[str, dict[str, int]]:
    """The aspects of an item as columns have them: task -> {category: -1 | 0 | 1}."""
    names = [task.name for task in schema.tasks if task.kind is Kind.ASPECT]
    cells: dict[str, dict[str, int]] = {name: {} for name in names}
    for aspect in aspects:
        cells.setdefault(aspect.get("task", names[0] if names else ""), {})[aspect["category"]] = SIGNS[
            aspect["polarity"]
        ]
    return cells


def every_probability(prediction: Prediction) -> dict[str, dict[str, float]]:
    """Task -> label -> probability; of an aspect task, that the comment mentions the category."""
    tasks = {name: found.probabilities for name, found in prediction.tasks.items()}
    return {
        name: {key: _round(value) for key, value in values.items()}
        for name, values in {**tasks, **prediction.mentioned}.items()
    }


def decision_item(decision: Decision) -> dict[str, Any]:
    """A Decision as the HTTP answer has it."""
    return {
        "queue": decision.queue,
        "due_at": _iso(decision.due_at),
        "zone": decision.zone,
        "reasons": list(decision.reasons),
        "priority": decision.priority,
    }


def error_text(error: FeedbackError) -> str:
    """What the column `error` says."""
    return f"{error.code}: {error.message}"


def error_item(error: FeedbackError, *, id: str = "") -> dict[str, Any]:  # noqa: A002
    """What stands in place of a result for a comment that cannot be scored."""
    return {"id": id, "error": {"code": error.code, "message": error.message}}


def _labels(prediction: Prediction) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, task in prediction.tasks.items():
        found[name] = task.label if isinstance(task.label, str) else list(task.label)
        found[f"{name}_probability"] = _round(task.probability)
    for name, aspects in prediction.aspects.items():
        found[name] = {aspect.category: aspect.polarity for aspect in aspects}
    return found


def _numbers(prediction: Prediction, all_probabilities: bool) -> dict[str, Any]:
    found: dict[str, Any] = {f"{name}_score": _round(score) for name, score in prediction.scores.items()}
    if prediction.satisfaction is not None:
        found["satisfaction"] = _round(prediction.satisfaction)
    found |= {"truncated": prediction.truncated, "flags": list(prediction.flags)}
    if all_probabilities:
        for name, values in every_probability(prediction).items():
            found |= {f"{name}_p_{key}": value for key, value in values.items()}
    return found


def _task(found: TaskPrediction) -> dict[str, Any]:
    chosen = {found.label} if isinstance(found.label, str) else set(found.label)
    others = sorted(
        (key for key in found.probabilities if key not in chosen), key=lambda key: -found.probabilities[key]
    )
    return {
        "label": found.label if isinstance(found.label, str) else list(found.label),
        "probability": _round(found.probability),
        "alternatives": [
            {"label": key, "probability": _round(found.probabilities[key])} for key in others[:ALTERNATIVES]
        ],
    }


def _aspects(aspects: Mapping[str, tuple[AspectPrediction, ...]]) -> list[dict[str, Any]]:
    several = len(aspects) > 1
    return [
        {
            **({"task": name} if several else {}),
            "category": aspect.category,
            "polarity": POLARITIES[aspect.polarity],
            "probability": _round(aspect.probability),
            "satisfaction": _round(aspect.satisfaction),
        }
        for name, found in aspects.items()
        for aspect in found
    ]


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")


def _round(value: float) -> float:
    return round(value, DIGITS)
