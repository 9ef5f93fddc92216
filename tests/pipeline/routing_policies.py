"""Predictions and policies as the tests of routing need them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.feedback import AspectPrediction, Prediction, TaskPrediction
from pipeline.routing import RoutingPolicy, Thresholds, policy_from_dict

NOW = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)  # a Wednesday, 10:00 in China
LIMITS = {name: Thresholds(auto=0.8, suggest=0.5) for name in ("category", "urgency")}
LEVELS = ("low", "medium", "high", "critical")

BASE: dict[str, Any] = {
    "queue": {"labels": {"refund": "after_sales", "logistics": "parcels", "product": "quality"}},
    "due": {"labels": {"low": "24 h", "medium": "4 h", "high": "1 h", "critical": "30 min"}},
    "dangers": {},
}


def policy(*rules: Mapping[str, Any], **tables: Any) -> RoutingPolicy:
    """The base policy with these rules, and with these tables instead of its own."""
    settings = tables.pop("settings", {})
    return policy_from_dict({**BASE, "rules": {**settings, "rule": list(rules)}, **tables})


def predicted(
    category: str = "refund",
    urgency: str = "low",
    *,
    sentiment: str = "negative",
    sure: float = 0.9,
    aspects: Mapping[str, int] | None = None,
    flags: tuple[str, ...] = (),
    score: float = 0.1,
    satisfaction: float | None = 2.0,
    truncated: bool = False,
) -> Prediction:
    tasks = {
        "category": task(category, ("refund", "logistics", "product", "billing"), sure),
        "urgency": task(urgency, LEVELS, sure),
        "sentiment": task(sentiment, ("negative", "neutral", "positive"), sure),
    }
    found = tuple(AspectPrediction(key, side, 0.9, 0.9, {}, 3.0) for key, side in (aspects or {}).items())
    return Prediction(
        tasks=tasks,
        aspects={"aspects": found},
        model_version="m",
        scores={"urgency": score},
        satisfaction=satisfaction,
        truncated=truncated,
        flags=flags,
    )


def task(label: str, labels: tuple[str, ...], sure: float) -> TaskPrediction:
    rest = (1 - sure) / max(1, len(labels) - 1)
    return TaskPrediction(label, sure, {key: sure if key == label else rest for key in labels})
