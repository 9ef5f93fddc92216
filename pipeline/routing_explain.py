"""What decided a comment, step by step: `fankui route explain`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pipeline.desk_calendar import WEEK
from pipeline.feedback import Decision, Feedback, Prediction
from pipeline.prepare import prepare_whole
from pipeline.routing_conditions import Condition, Facts
from pipeline.routing_policy import RoutingPolicy
from pipeline.routing_rules import Rule
from pipeline.routing_zone import UNFITTED, Thresholds


@dataclass(frozen=True, slots=True)
class Asked:
    """One condition of a rule."""

    part: str  # when | unless
    asks: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule. It may fire and not apply, where an earlier one did."""

    name: str
    fires: bool
    applies: bool
    conditions: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class DueTrace:
    """How the due time came about."""

    starts_at: datetime
    minutes: float  # to respond
    calendar: str | None  # None: around the clock
    hours: Mapping[str, str]  # the calendar's, by weekday


@dataclass(frozen=True, slots=True)
class Certainty:
    """A task that counts for the zone."""

    task: str
    label: str
    probability: float
    auto: float
    suggest: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with what led to it."""

    decision: Decision
    flags: tuple[str, ...]
    rules: tuple[RuleTrace, ...]
    due: DueTrace | None
    certainties: tuple[Certainty, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form; holds nothing of the text."""
        told = asdict(self)
        due = self.decision.due_at
        told["decision"]["due_at"] = None if due is None else due.isoformat(timespec="seconds")
        if self.due is not None:
            told["due"]["starts_at"] = self.due.starts_at.isoformat(timespec="seconds")
        return told


def explain_decision(
    policy: RoutingPolicy,
    prediction: Prediction,
    feedback: Feedback,
    *,
    thresholds: Mapping[str, Thresholds],
    now: datetime,
) -> Explanation:
    """The decision that `policy.decide` gives, and why. Pure."""
    text = prepare_whole(feedback.text).whole
    decision = policy.decide(prediction, feedback, thresholds=thresholds, now=now, text=text)
    origin = policy.origin(feedback, feedback.signals)
    facts = policy.facts(prediction, text, origin=origin, signals=feedback.signals, every_flag=True)
    verdict = policy.verdict(prediction, text, thresholds=thresholds, origin=origin, signals=feedback.signals)
    due = None
    if verdict.within is not None:
        start = policy.start(feedback.created_at, now=now).astimezone(policy.timezone)
        calendar = None if verdict.around_the_clock else policy.calendars.get(verdict.queue)
        hours = {} if calendar is None else {day: calendar.usual_hours(day) for day in WEEK}
        minutes = verdict.within.total_seconds() / 60
        due = DueTrace(start, minutes, None if calendar is None else calendar.name, hours)
    limits = {**thresholds, **policy.thresholds}
    return Explanation(decision, facts.flags, _traces(policy, facts), due, _certainties(policy, prediction, limits))


def _traces(policy: RoutingPolicy, facts: Facts) -> tuple[RuleTrace, ...]:
    applied = policy.rules.applied(policy.rules.rules, facts)
    return tuple(_trace(rule, facts, applies=rule in applied) for rule in policy.rules.rules)


def _trace(rule: Rule, facts: Facts, *, applies: bool) -> RuleTrace:
    asked = [_asked("when", condition, facts) for condition in rule.when]
    asked += [_asked("unless", condition, facts) for condition in rule.unless]
    return RuleTrace(rule.name, rule.fires(facts), applies, tuple(asked))


def _asked(part: str, condition: Condition, facts: Facts) -> Asked:
    return Asked(part, str(condition), condition.found(facts), condition.holds(facts))


def _certainties(
    policy: RoutingPolicy, prediction: Prediction, thresholds: Mapping[str, Thresholds]
) -> tuple[Certainty, ...]:
    found = []
    for name in policy.counted_tasks:
        if name in prediction.tasks:
            task, limits = prediction.tasks[name], thresholds.get(name, UNFITTED)
            label = task.label if isinstance(task.label, str) else ", ".join(task.label)
            found.append(Certainty(name, label, round(task.probability, 6), limits.auto, limits.suggest))
    return tuple(found)
