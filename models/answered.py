"""A Prediction out of the item that it was answered with, and with what people say instead of the model. Pure.

An item (models/answer.py) names the likeliest labels alone: the rest of the probability is spread evenly over the
others, and of an aspect its polarity is all that there is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.answer import SIGNS
from models.decide import has_alerts, satisfaction_task
from pipeline.feedback import AspectPrediction, Gold, Prediction, TaskPrediction
from pipeline.routing_zone import CONTRADICTION
from pipeline.schema import POLARITIES, Kind, LabelSchema, Task


def prediction_of(item: Mapping[str, Any], schema: LabelSchema, *, model_version: str = "") -> Prediction:
    """The other way round of `models/answer.py::item`. Tasks and labels that the schema does not have are left out."""
    tasks = {}
    aspects: dict[str, tuple[AspectPrediction, ...]] = {}
    first = next((task.name for task in schema.tasks if task.kind is Kind.ASPECT), None)
    for task in schema.tasks:
        if task.kind is Kind.ASPECT:
            told = [entry for entry in item["aspects"] if entry.get("task", first) == task.name]
            aspects[task.name] = tuple(_aspect(entry) for entry in told if entry["category"] in task.keys)
        elif (found := item["labels"].get(task.name)) is not None and (answer := _task(found, task)) is not None:
            tasks[task.name] = answer
    return Prediction(
        tasks=tasks,
        aspects=aspects,
        model_version=model_version,
        scores={name: item[f"{name}_score"] for name in tasks if f"{name}_score" in item},
        satisfaction=item.get("satisfaction"),
        truncated=item.get("truncated", False),
        windows=item.get("windows", 1),
        flags=tuple(item.get("flags", ())),
    )


def corrected(prediction: Prediction, schema: LabelSchema, labels: Mapping[str, Gold]) -> Prediction:
    """The prediction with the labels that people gave (task -> canonical label, pipeline/gold.py), which are certain.

    Whoever says how satisfied the whole or a part of it is settles a contradiction between the two.
    """
    tasks, aspects, scores = dict(prediction.tasks), dict(prediction.aspects), dict(prediction.scores)
    satisfaction, flags = prediction.satisfaction, prediction.flags
    telling = satisfaction_task(schema)
    for name, label in labels.items():
        task = schema.task(name)
        if isinstance(label, Mapping):
            aspects[name] = tuple(_certain(category, polarity) for category, polarity in label.items())
        else:
            given = (label,) if isinstance(label, str) else label
            certain = {key: float(key in given) for key in task.keys}
            tasks[name] = TaskPrediction(label, 1.0, certain)
            if has_alerts(task):
                scores[name] = sum(certain[level.key] for level in task.labels if level.alert)
            if task is telling:
                worth = sum(certain[level.key] * (level.satisfaction or 0.0) for level in task.labels)
                satisfaction = 1.0 + 4.0 * worth
        if task is telling or task.kind is Kind.ASPECT:
            flags = tuple(flag for flag in flags if flag != CONTRADICTION)
    return replace(prediction, tasks=tasks, aspects=aspects, scores=scores, satisfaction=satisfaction, flags=flags)


def _task(found: Mapping[str, Any], task: Task) -> TaskPrediction | None:
    label = found["label"]
    given = {label} if isinstance(label, str) else set(label)
    if not given <= set(task.keys):
        return None
    told = dict.fromkeys(given, found["probability"])
    told |= {entry["label"]: entry["probability"] for entry in found["alternatives"]}
    others = [key for key in task.keys if key not in told]
    rest = 0.0 if task.kind is Kind.MULTI else max(0.0, 1.0 - sum(told.values())) / max(1, len(others))
    probabilities = {key: told.get(key, rest) for key in task.keys}
    return TaskPrediction(label if isinstance(label, str) else tuple(label), found["probability"], probabilities)


def _aspect(entry: Mapping[str, Any]) -> AspectPrediction:
    polarity = SIGNS[entry["polarity"]]
    return replace(
        _certain(entry["category"], polarity),
        probability=entry["probability"],
        mentioned=entry["probability"],
        satisfaction=entry["satisfaction"],
    )


def _certain(category: str, polarity: int) -> AspectPrediction:
    probabilities = {word: float(sign == polarity) for sign, word in POLARITIES.items()}
    return AspectPrediction(category, polarity, 1.0, 1.0, probabilities, satisfaction=3.0 + 2.0 * polarity)
