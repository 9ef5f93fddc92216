"""Answers as fixed-width records: one numpy row a text, which is what the cache, the workers and the journal hold.

A record of the shipped schema has 78 bytes; the Prediction and the row of cells that it stands for have thousands.
What depends on the row and not on its text alone (the moment from which the due time runs) is kept beside it
(models/batch_segment.py).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from models.answer import DIGITS, column_kinds
from models.calibration import Calibration
from models.decide import (
    alert_score,
    aspect_predictions,
    chosen_labels,
    chosen_polarities,
    confidence,
    has_alerts,
    satisfaction,
    task_prediction,
    with_contradictions,
)
from models.heads import Array
from models.predictor import OUT_OF_SCOPE, Columns
from pipeline.feedback import AspectPrediction, Prediction, TaskPrediction
from pipeline.routing import CONTRADICTION, NO_ORIGIN, ZONES, Origin, RoutingPolicy
from pipeline.schema import Kind, LabelSchema, Task

Records = npt.NDArray[Any]  # structured

UNREADABLE_TIME = "created_at_unreadable"
"""Flag of a row whose created_at is no time; its due time then runs from the time of scoring."""

FLAGS = (OUT_OF_SCOPE, CONTRADICTION, UNREADABLE_TIME)

PACKED = ("flags", "reasons")
"""Columns of labels that are kept one bit a label."""

EMBEDDING = "embedding"
ANSWERED = -1
"""In the field `error`: there is none. Any other value is the place of its message in a list beside the records."""

NEVER_DUE = np.iinfo(np.int64).min
MICROSECOND = timedelta(microseconds=1)
_SCALE = 10**DIGITS


class RecordLayout:
    """The fields of a record: named like the output's columns, for any schema.

    | kind of column | field                                                              |
    |----------------|--------------------------------------------------------------------|
    | text           | position in `words[name]`                                          |
    | number         | millionths, so that no digit is lost: answers are told to six places |
    | labels         | one byte a label; of `flags` and `reasons` one bit (`labels` tells) |
    | aspects        | 1 + 3 * category + polarity + 1, most certain first, then zeros    |
    | integer        | itself, above zero; 0 where there is none                          |
    | due_at         | microseconds, below zero of the queue's working time, or NEVER_DUE |
    """

    def __init__(
        self,
        schema: LabelSchema,
        policy: RoutingPolicy,
        *,
        calibration: Calibration,
        all_probabilities: bool = False,
        embedding_width: int = 0,
    ) -> None:
        self.schema = schema
        self.all_probabilities = all_probabilities
        self.kinds = column_kinds(schema, routed=True, all_probabilities=all_probabilities)
        self.words: dict[str, tuple[str, ...]] = {task.name: task.keys for task in schema.tasks}
        self.words["queue"] = policy.queue_names()
        self.words["zone"] = ZONES
        self.words["flags"] = FLAGS
        self.words["reasons"] = policy.reason_codes()
        self._policy = policy
        self._calibration = calibration
        self._thresholds = calibration.thresholds()
        self._routed = set(policy.tasks())
        self._reads_aspects = policy.reads_aspects()
        self.calendars = tuple(policy.calendars.get(name) for name in self.words["queue"])
        fields = [self._field(name, kind) for name, kind in self.kinds if name not in ("model_version", "error")]
        fields.append(("error", np.int32))
        if embedding_width:
            fields.append((EMBEDDING, np.float16, (embedding_width,)))
        self.dtype = np.dtype(fields)

    def blank(self, count: int) -> Records:
        """Records of texts without an error, still to be filled."""
        rows = np.zeros(count, dtype=self.dtype)
        rows["error"] = ANSWERED
        return rows

    def records(
        self, columns: Columns, texts: Sequence[str], origins: Sequence[Origin | None] | None = None
    ) -> Records:
        """One record a text; `texts` as they were prepared, whole, and where each came from if the policy asks."""
        rows = self.blank(len(columns))
        routed: dict[str, list[TaskPrediction]] = {}
        labels: dict[str, list[tuple[int, ...]]] = {}
        polarities: dict[str, npt.NDArray[np.int8]] = {}
        for task in self.schema.tasks:
            probs = columns.probabilities[task.name]
            if task.kind is Kind.ASPECT:
                polarities[task.name] = self._fill_aspects(rows, task, probs)
            else:
                labels[task.name], certainty = self._fill_labels(rows, task, probs)
                if task.name in self._routed:
                    answers = zip(probs, labels[task.name], certainty, strict=True)
                    routed[task.name] = [task_prediction(task, row, given, sure) for row, given, sure in answers]
            if has_alerts(task):
                rows[f"{task.name}_score"] = millionths(alert_score(task, probs))
        satisfied = satisfaction(self.schema, columns.probabilities)
        if satisfied is not None:
            rows["satisfaction"] = millionths(satisfied)
        rows["truncated"] = columns.truncated
        flags = with_contradictions(self.schema, columns.flags, labels=labels, polarities=polarities)
        rows["flags"] = self._packed("flags", flags)
        if EMBEDDING in (self.dtype.names or ()) and columns.embeddings is not None:
            rows[EMBEDDING] = columns.embeddings
        columns = replace(columns, flags=tuple(flags))
        predictions = self._predictions(rows, routed, columns, polarities)
        self._route(rows, predictions, texts, origins or [None] * len(texts))
        return rows

    def labels(self, name: str, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Of every one of `words[name]` whether it is given. `values`: n records' field of kind labels -> (n, words)"""
        if name not in PACKED:
            return values
        return np.unpackbits(values, axis=1, count=len(self.words[name]), bitorder="little").astype(np.bool_)

    def _packed(self, name: str, given: Sequence[Sequence[str]]) -> npt.NDArray[np.uint8]:
        """The inverse of `labels`."""
        places = {word: i for i, word in enumerate(self.words[name])}
        bits = np.zeros((len(given), len(places)), dtype=np.bool_)
        rows = [row for row, words in enumerate(given) for _ in words]
        bits[rows, [places[word] for words in given for word in words]] = True
        return np.packbits(bits, axis=1, bitorder="little")

    def _field(self, name: str, kind: str) -> tuple[Any, ...]:
        if kind == "text":
            return (name, np.int16)
        if kind in ("number", "integer"):
            return (name, np.int32)
        if kind == "aspects":
            return (name, np.int16, (len(self.words[name]),))
        if kind == "labels":
            count = len(self.words[name])
            return (name, np.uint8, (-(-count // 8),)) if name in PACKED else (name, np.bool_, (count,))
        return (name, np.int64 if kind == "time" else np.bool_)

    def _fill_labels(self, rows: Records, task: Task, probs: Array) -> tuple[list[tuple[int, ...]], list[float]]:
        chosen = chosen_labels(task, probs, self._calibration.task(task.name))
        sure = confidence(task, probs, chosen)
        if task.kind is Kind.MULTI:
            for row, labels in zip(rows[task.name], chosen, strict=True):
                row[list(labels)] = True
        else:
            rows[task.name] = [labels[0] for labels in chosen]
        rows[f"{task.name}_probability"] = millionths(sure)
        if self.all_probabilities:
            for i, key in enumerate(task.keys):
                rows[f"{task.name}_p_{key}"] = millionths(probs[:, i])
        return chosen, sure.tolist()

    def _fill_aspects(self, rows: Records, task: Task, probs: Array) -> npt.NDArray[np.int8]:
        polarities = chosen_polarities(probs, self._calibration.task(task.name))
        mentioned = 1.0 - probs[..., 0]
        given = polarities > -2
        # As `sorted` with a key: stable, so that equals stay in the order of the schema.
        order = np.argsort(np.where(given, -mentioned, np.inf), axis=1, kind="stable")
        codes = np.where(given, 1 + 3 * np.arange(probs.shape[1]) + polarities + 1, 0)
        rows[task.name] = np.take_along_axis(codes, order, axis=1)
        if self.all_probabilities:
            for i, key in enumerate(task.keys):
                rows[f"{task.name}_p_{key}"] = millionths(mentioned[:, i])
        return polarities

    def _predictions(
        self,
        rows: Records,
        routed: Mapping[str, list[TaskPrediction]],
        columns: Columns,
        polarities: Mapping[str, npt.NDArray[np.int8]],
    ) -> Iterator[Prediction]:
        """As much of every text's Prediction as the policy reads."""
        aspects: dict[str, list[tuple[AspectPrediction, ...]]] = {}
        for name, found in polarities.items() if self._reads_aspects else ():
            task = self.schema.task(name)
            pairs = zip(columns.probabilities[name], found, strict=True)
            aspects[name] = [aspect_predictions(task, *pair) for pair in pairs]
        scores: dict[str, list[float]] = {}
        satisfied: list[float] | None = None
        if self._policy.rules.needs("numbers"):
            alerts = [task for task in self.schema.tasks if has_alerts(task)]
            scores = {task.name: alert_score(task, columns.probabilities[task.name]).tolist() for task in alerts}
            worth = satisfaction(self.schema, columns.probabilities)
            satisfied = None if worth is None else worth.tolist()
        for i in range(len(rows)):
            yield Prediction(
                tasks={name: answers[i] for name, answers in routed.items()},
                aspects={name: answers[i] for name, answers in aspects.items()},
                model_version="",
                scores={name: values[i] for name, values in scores.items()},
                satisfaction=None if satisfied is None else satisfied[i],
                truncated=bool(columns.truncated[i]),
                flags=columns.flags[i],
            )

    def _route(
        self,
        rows: Records,
        predictions: Iterable[Prediction],
        texts: Sequence[str],
        origins: Sequence[Origin | None],
    ) -> None:
        queues = {name: i for i, name in enumerate(self.words["queue"])}
        found, reasons = [], []
        for prediction, text, origin in zip(predictions, texts, origins, strict=True):
            verdict = self._policy.verdict(prediction, text, thresholds=self._thresholds, origin=origin or NO_ORIGIN)
            within = NEVER_DUE if verdict.within is None else verdict.within // MICROSECOND
            if not verdict.around_the_clock and verdict.within is not None and self.calendars[queues[verdict.queue]]:
                within = -within
            found.append((queues[verdict.queue], within, ZONES.index(verdict.zone), verdict.priority or 0))
            reasons.append(verdict.reasons)
        if found:
            rows["reasons"] = self._packed("reasons", reasons)
            rows["queue"], rows["due_at"], rows["zone"], rows["queue_priority"] = zip(*found, strict=True)


def millionths(values: Array) -> npt.NDArray[np.int32]:
    """Whole millionths of `round(value, 6)`, value by value."""
    scaled = values * _SCALE
    found = np.rint(scaled)
    # Where the sixth place hangs on bits that the product lost, Python's own rounding tells; one value in millions.
    for i in np.flatnonzero(np.abs(np.abs(scaled - found) - 0.5) < 1e-6):
        found[i] = round(round(float(values[i]), DIGITS) * _SCALE)
    return np.asarray(found, dtype=np.int32)
