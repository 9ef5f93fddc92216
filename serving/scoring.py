"""Comments to results, in the model's thread: one forward pass for all; if it fails, one each, so that one bad comment
fails alone.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from models.answer import error_item, item
from models.predictor import BundlePredictor
from pipeline.errors import FeedbackError
from pipeline.feedback import Feedback, Prediction
from pipeline.prepare import Prepared
from pipeline.routing import RoutingPolicy
from serving.intake import Refused
from serving.problems import RequestProblem

_LOGGER = logging.getLogger("fankui.serving")

PROBE = "快递三天没到，客服也不回"
"""The comment of the readiness probe."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Results in the order of the comments, and of those that failed their errors by position."""

    results: list[dict[str, Any]]
    errors: Mapping[int, FeedbackError]

    @property
    def model_failed(self) -> bool:
        return any(error.code == "model_failed" for error in self.errors.values())


def score(
    items: Sequence[Feedback | Refused], *, predictor: BundlePredictor, policy: RoutingPolicy, now: datetime
) -> Scored:
    """Score, decide and put into the answer's form. Never raises for a comment or for the model."""
    thresholds = predictor.calibration.thresholds()
    answers = iter(predict(predictor, [entry.text for entry in items if isinstance(entry, Feedback)]))
    results: list[dict[str, Any]] = []
    errors: dict[int, FeedbackError] = {}
    for position, entry in enumerate(items):
        answer = entry.error if isinstance(entry, Refused) else next(answers)
        if isinstance(entry, Feedback) and isinstance(answer, Prediction):
            decision = policy.decide(answer, entry, thresholds=thresholds, now=now)
            results.append(item(answer, decision=decision, id=entry.id))
        elif isinstance(answer, FeedbackError):
            errors[position] = answer
            results.append(error_item(answer, id=entry.id))
    return Scored(results, errors)


def predict(predictor: BundlePredictor, texts: Sequence[str]) -> list[Prediction | FeedbackError]:
    """One Prediction or error a text."""
    prepared = predictor.prepare_each(texts)
    good = [entry for entry in prepared if isinstance(entry, Prepared)]
    answers: list[Prediction | FeedbackError] = []
    try:
        answers.extend(_pass(predictor, good))
    except Exception as error:
        _tell(error)
        answers.extend(_alone(predictor, entry) for entry in good)
    following = iter(answers)
    return [entry if isinstance(entry, FeedbackError) else next(following) for entry in prepared]


def _alone(predictor: BundlePredictor, prepared: Prepared) -> Prediction | FeedbackError:
    try:
        return _pass(predictor, [prepared])[0]
    except Exception as error:
        _tell(error)
        return RequestProblem(
            "model_failed", "the model failed at this comment; try again, and report it if it stays so"
        )


def _pass(predictor: BundlePredictor, prepared: Sequence[Prepared]) -> list[Prediction]:
    if not prepared:
        return []
    columns = predictor.columns(prepared)
    if not all(np.isfinite(values).all() for values in columns.probabilities.values()):
        raise ArithmeticError("probabilities that are not finite")
    predictions = predictor.decide(columns)
    if len(predictions) != len(prepared):
        raise ArithmeticError(f"{len(predictions)} predictions for {len(prepared)} comments")
    return predictions


def _tell(error: Exception) -> None:
    # The message may hold the comment; the type does not.
    _LOGGER.error("model_failed", extra={"fields": {"error": type(error).__name__}})
