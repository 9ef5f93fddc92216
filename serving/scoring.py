"""Comments to results, in the model's thread: scored, decided, and put into the answer's form."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from models.answer import error_item, item
from models.predictor import BundlePredictor
from pipeline.errors import FeedbackError, ModelError
from pipeline.feedback import Feedback, Prediction
from pipeline.routing import RoutingPolicy
from serving.batcher import Outcome
from serving.intake import Refused
from serving.problems import INTERNAL

_LOGGER = logging.getLogger("fankui.serving")

PROBE = Feedback(text="快递三天没到，客服也不回")
"""The comment of the readiness probe."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Results in the order of the comments, and of those that failed their errors by position."""

    results: list[dict[str, Any]]
    errors: Mapping[int, FeedbackError]


def score(
    comments: Sequence[Feedback], *, predictor: BundlePredictor, policy: RoutingPolicy, received: Sequence[datetime]
) -> list[Outcome]:
    """Score, decide and put into the answer's form. Never raises for a comment or for the model.

    `received` says of every comment when it came, from where its due time runs if it has no time of its own.
    """
    thresholds = predictor.calibration.thresholds()
    outcomes = []
    answers = predictor.answer_each([comment.text for comment in comments])
    for comment, now, answer in zip(comments, received, answers, strict=True):
        if isinstance(answer, ModelError):
            _LOGGER.error("model_failed", extra={"fields": {"error": answer.cause}})
        if isinstance(answer, FeedbackError):
            outcomes.append(_failed(comment, answer))
            continue
        try:
            prediction = signalled(answer.prediction, comment)
            decision = policy.decide(prediction, comment, thresholds=thresholds, now=now, text=answer.text)
            known = comment.signals.flags if comment.signals is not None else ()
            reasons = tuple(dict.fromkeys((*decision.reasons, *known)))
            outcomes.append(Outcome(item(prediction, decision=replace(decision, reasons=reasons), id=comment.id)))
        except Exception as error:  # a fault of ours at one comment is not the others' of its batch
            _LOGGER.error("decision_failed", extra={"fields": {"error": type(error).__name__}})
            outcomes.append(_failed(comment, FeedbackError("internal_error", INTERNAL)))
    return outcomes


def signalled(prediction: Prediction, comment: Feedback) -> Prediction:
    """The prediction with what is known of the comment beside its text among the flags, where rules find it."""
    known = comment.signals.flags if comment.signals is not None else ()
    return replace(prediction, flags=(*prediction.flags, *known)) if known else prediction


def merged(items: Sequence[Feedback | Refused], outcomes: Sequence[Outcome]) -> Scored:
    """The outcomes of a request's comments, and between them what had been refused before."""
    found = iter(outcomes)
    results, errors = [], {}
    for position, entry in enumerate(items):
        outcome = _failed(entry, entry.error) if isinstance(entry, Refused) else next(found)
        results.append(outcome.result)
        if outcome.error is not None:
            errors[position] = outcome.error
    return Scored(results, errors)


def _failed(comment: Feedback | Refused, error: FeedbackError) -> Outcome:
    return Outcome(error_item(error, id=comment.id), error)
