"""What people say of a comment's labels routes it anew, by the same policy that routed it when it came."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from models.answer import decision_item
from models.answered import corrected, prediction_of
from models.predictor import BundlePredictor
from pipeline.feedback import Decision, Feedback, Gold, Signals
from pipeline.routing import RoutingPolicy
from serving.store import corrections
from serving.store.rerouting import reroute


def route_again(connection: Any, row: Any, *, predictor: BundlePredictor, policy: RoutingPolicy, now: datetime) -> bool:
    """Decide about a comment, whose row is locked, by the labels that hold now; whether that moves it.

    One that nobody corrected stays where it is: another model or policy is no reason to move what is at a desk.
    """
    labels = corrections.held(connection, [row.id]).get(row.id)
    if not labels:
        return False
    decision = _decide(row, labels, predictor=predictor, policy=policy)
    return reroute(connection, row, decision_item(decision), now=now)


def _decide(row: Any, labels: Mapping[str, Gold], *, predictor: BundlePredictor, policy: RoutingPolicy) -> Decision:
    """The text is the masked one, and of probabilities there are those that were answered (models/answered.py)."""
    schema = predictor.schema
    known = {task.name: labels[task.name] for task in schema.tasks if task.name in labels}
    prediction = corrected(prediction_of(row.prediction, schema, model_version=row.model_version), schema, known)
    signals = Signals(
        repeat_contacts=row.signals["contacts"], near_duplicates=int(row.signals["duplicate_of"] is not None)
    )
    comment = Feedback(
        text=row.text,
        id=row.id,
        channel=row.channel,
        created_at=row.created_at,
        customer_ref=row.customer_ref,
        metadata=row.metadata,
        signals=signals,
    )
    decision = policy.decide(
        prediction,
        comment,
        thresholds=predictor.calibration.thresholds(),
        now=row.received_at,
        text=row.text,
        settled=known,
    )
    told = (*decision.reasons, *signals.flags, *(f"corrected:{name}" for name in known))
    return replace(decision, reasons=tuple(dict.fromkeys(told)))
