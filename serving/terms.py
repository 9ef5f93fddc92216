"""What a model has to fulfil before it answers: the policy's labels, the labels that clients know, golden answers.

Golden answers are labelled comments, as for training (`--golden FILE`): every label that stands there has to be the
model's own. A model that misses one leaves the model before it answering.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.predictor import BundlePredictor
from pipeline.columns import read_examples
from pipeline.errors import BundleError, ConfigError, FeedbackError
from pipeline.feedback import Prediction
from pipeline.routing import RoutingPolicy
from pipeline.schema import Kind, LabelSchema

_BATCH = 32
_TOLD = 3  # mistakes that are named


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one server. None, each of them, asks for nothing."""

    policy: RoutingPolicy | None = None  # one that somebody wrote for the model's labels, which the shipped one is not
    labels: str | None = None  # labels_digest of the model before
    golden: Path | None = None

    def check_labels(self, schema: LabelSchema) -> None:
        """Raise ConfigError where the policy does not fit, BundleError `labels_differ`."""
        if self.policy is not None:
            self.policy.check(schema)
        if self.labels is not None and labels_digest(schema) != self.labels:
            raise BundleError(
                "labels_differ",
                "the model has other tasks or labels than the one that answers, which clients rely on; "
                "start the server again to change them",
            )

    def check_answers(self, predictor: BundlePredictor) -> None:
        """Raise BundleError `golden_failed`; DataError, SchemaError where the file cannot be read with its labels."""
        if self.golden is None:
            return
        examples = read_examples(self.golden, predictor.schema)
        if not any(example.labels for example in examples):
            raise ConfigError("golden_empty", f"{self.golden} holds no labelled comment; give such as for training")
        mistakes: list[str] = []
        wrong = 0
        for start in range(0, len(examples), _BATCH):
            batch = examples[start : start + _BATCH]
            answers = predictor.predict_each([example.feedback.text for example in batch])
            for row, (example, answer) in enumerate(zip(batch, answers, strict=True), start + 1):
                found = _mistakes(example.labels, answer, predictor.schema)
                mistakes += [f"{row}: {mistake}" for mistake in found]
                wrong += bool(found)
        if mistakes:
            more = f" and {len(mistakes) - _TOLD} more" if len(mistakes) > _TOLD else ""
            raise BundleError(
                "golden_failed",
                f"{predictor.model_version} answers {wrong} of {len(examples)} comments of {self.golden} otherwise "
                f"than they are labelled there; by comment {'; '.join(mistakes[:_TOLD])}{more}",
            )


def labels_digest(schema: LabelSchema) -> str:
    """Of what answers are made of: tasks, kinds and keys. Names and definitions may be improved any time."""
    plain = [(task.name, task.kind.value, task.keys) for task in schema.tasks]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def _mistakes(gold: Mapping[str, Any], answer: Prediction | FeedbackError, schema: LabelSchema) -> list[str]:
    """Never holds the text."""
    if isinstance(answer, FeedbackError):
        return [answer.code] if gold else []
    found = []
    for task, wanted in gold.items():
        if schema.task(task).kind is Kind.ASPECT:
            given: Any = {aspect.category: aspect.polarity for aspect in answer.aspects[task]}
            same = given == dict(wanted)
        else:
            given = answer.tasks[task].label
            same = given == wanted if isinstance(wanted, str) else set(given) == set(wanted)
        if not same:
            found.append(f"{task} is {_shown(given)}, expected {_shown(wanted)}")
    return found


def _shown(label: Any) -> str:
    if isinstance(label, Mapping):
        return ", ".join(f"{category}:{polarity:+d}" for category, polarity in label.items()) or "none"
    return label if isinstance(label, str) else ", ".join(label) or "none"
