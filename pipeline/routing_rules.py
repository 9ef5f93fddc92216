"""Rules of a routing policy: what they do with a comment, and which of them fire. Pure.

A rule fires where everything in its `when` holds and not everything in its `unless`. They are read from TOML by
pipeline/routing_rule_file.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pipeline.feedback import Signals
from pipeline.routing_conditions import Condition, Facts, HasFlag, LabelIs, NumberIn, ProbabilityIn


@dataclass(frozen=True, slots=True)
class Effect:
    """What a rule does. `level`, `priority` and `zone` make a decision graver, never less grave than it was."""

    queue: str | None = None
    within: timedelta | None = None  # instead of the due time of the label
    around_the_clock: bool = False  # the due time runs at night too
    priority: int | None = None
    level: str | None = None  # of the due task: treated as that at least
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One [[rules.rule]] of the policy."""

    name: str
    when: tuple[Condition, ...]
    then: Effect
    unless: tuple[Condition, ...] = ()
    points: float = 1.0  # for its queue, where rules are scored

    @property
    def reason(self) -> str:
        return f"rule:{self.name}"

    def conditions(self) -> tuple[Condition, ...]:
        return (*self.when, *self.unless)

    def fires(self, facts: Facts) -> bool:
        if not all(condition.holds(facts) for condition in self.when):
            return False
        return not (self.unless and all(condition.holds(facts) for condition in self.unless))

    @property
    def needs_signals(self) -> bool:
        """Whether it cannot fire without signals."""
        return any(isinstance(condition, NumberIn | HasFlag) and condition.signal for condition in self.when)


@dataclass(frozen=True)
class RuleSet:
    """All rules. Mode `first`: the first that fires applies. Mode `score`: all that fire apply.

    In mode `score` they give points to their queues; the queue with most wins where it has `least`, of equals the one
    that is named first.
    """

    rules: tuple[Rule, ...] = ()
    mode: str = "first"
    least: float = 1.0
    asks_origin: bool = field(init=False, repr=False, compare=False)  # channel or tier
    _unsignalled: tuple[Rule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        unsignalled = tuple(rule for rule in self.rules if not rule.needs_signals)
        object.__setattr__(self, "_unsignalled", unsignalled)
        object.__setattr__(self, "asks_origin", self.needs("origin"))

    def candidates(self, signals: Signals | None) -> tuple[Rule, ...]:
        """Rules that may fire at all."""
        return self._unsignalled if signals is None else self.rules

    def applied(self, rules: Iterable[Rule], facts: Facts) -> tuple[Rule, ...]:
        """Those of the rules that apply to the comment."""
        if self.mode == "score":
            return tuple(rule for rule in rules if rule.fires(facts))
        return next(((rule,) for rule in rules if rule.fires(facts)), ())

    def queue(self, applied: Sequence[Rule]) -> tuple[str | None, tuple[str, ...]]:
        """The queue that the applied rules give, None where they give none; and the rules that gave it, by name."""
        named = [rule for rule in applied if rule.then.queue is not None]
        if self.mode != "score":
            return (named[0].then.queue, (named[0].name,)) if named else (None, ())
        points: dict[str, float] = {}
        for rule in named:
            queue = str(rule.then.queue)
            points[queue] = points.get(queue, 0.0) + rule.points
        best = max(points, key=points.__getitem__, default=None)
        if best is None or points[best] < self.least:
            return None, ()
        return best, tuple(rule.name for rule in named if rule.then.queue == best)

    def needs(self, part: str) -> bool:
        """Whether any rule reads that part of the facts: tasks, numbers, aspects, origin or flags."""
        return any(condition.needs == part for rule in self.rules for condition in rule.conditions())

    def flags(self) -> frozenset[str]:
        """Every flag that a rule asks for."""
        conditions = (condition for rule in self.rules for condition in rule.conditions())
        return frozenset(flag for condition in conditions if isinstance(condition, HasFlag) for flag in condition.flags)

    def tasks(self) -> tuple[str, ...]:
        """Tasks whose label or probabilities a rule reads."""
        conditions = (condition for rule in self.rules for condition in rule.conditions())
        return tuple(
            dict.fromkeys(condition.task for condition in conditions if isinstance(condition, LabelIs | ProbabilityIn))
        )
