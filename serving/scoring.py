"""Comments to results, in the model's thread: scored, decided, and put into the answer's form."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.answer import error_item, item
from models.predictor import Answer, BundlePredictor
from pipeline.errors import FeedbackError, ModelError
from pipeline.feedback import Feedback
from pipeline.routing import RoutingPolicy
from serving.intake import Refused

_LOGGER = logging.getLogger("fankui.serving")

PROBE = "快递三天没到，客服也不回"
"""The comment of the readiness probe."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Results in the order of the comments, and of those that failed their errors by position."""

    results: list[dict[str, Any]]
    errors: Mapping[int, FeedbackError]

    @property
    def answered(self) -> int:
        """How many comments have a prediction."""
        return len(self.results) - len(self.errors)

    @property
    def model_failed(self) -> bool:
        return any(error.code == "model_failed" for error in self.errors.values())


def score(
    items: Sequence[Feedback | Refused], *, predictor: BundlePredictor, policy: RoutingPolicy, now: datetime
) -> Scored:
    """Score, decide and put into the answer's form. Never raises for a comment or for the model."""
    thresholds = predictor.calibration.thresholds()
    answers = iter(predictor.answer_each([entry.text for entry in items if isinstance(entry, Feedback)]))
    results: list[dict[str, Any]] = []
    errors: dict[int, FeedbackError] = {}
    for position, entry in enumerate(items):
        answer = entry.error if isinstance(entry, Refused) else next(answers)
        if isinstance(entry, Feedback) and isinstance(answer, Answer):
            prediction = answer.prediction
            decision = policy.decide(prediction, entry, thresholds=thresholds, now=now, text=answer.text)
            results.append(item(prediction, decision=decision, id=entry.id))
        elif isinstance(answer, FeedbackError):
            _tell(answer)
            errors[position] = answer
            results.append(error_item(answer, id=entry.id))
    return Scored(results, errors)


def _tell(error: FeedbackError) -> None:
    if isinstance(error, ModelError):
        _LOGGER.error("model_failed", extra={"fields": {"error": error.cause}})
