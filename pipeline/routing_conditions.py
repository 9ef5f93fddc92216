"""What a routing rule may ask of a comment: labels, probabilities, aspects, channel, tier, flags, signals. Pure."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pipeline.feedback import NEAR_DUPLICATE, REPEAT_CONTACT, Prediction, Signals
from pipeline.schema import POLARITIES

SEVERAL_DESKS = "several_desks"
DANGER = "danger"

SIGNAL_FLAGS = (REPEAT_CONTACT, NEAR_DUPLICATE)
"""Flags that only the signals raise: a rule that asks for one is passed over where there are none."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a rule may ask of one comment."""

    prediction: Prediction
    channel: str | None = None
    tier: str | None = None
    signals: Signals = field(default_factory=Signals)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `at_least` up to, but not including, `below`. NaN is in no bounds."""

    at_least: float = -math.inf
    below: float = math.inf

    def hold(self, value: float) -> bool:
        return self.at_least <= value < self.below

    def within(self, other: "Bounds") -> bool:
        """Whether every value that is in these bounds is in the others."""
        return self.at_least >= other.at_least and self.below <= other.below

    def __str__(self) -> str:
        least = "" if self.at_least == -math.inf else f">= {self.at_least:g}"
        below = "" if self.below == math.inf else f"< {self.below:g}"
        return " and ".join(part for part in (least, below) if part)


class Condition(Protocol):
    """One thing that a rule asks."""

    needs: ClassVar[str]  # which part of the facts it reads

    @property
    def key(self) -> str:
        """Where it stands in the rule, such as labels.category."""
        ...

    def holds(self, facts: Facts) -> bool: ...

    def found(self, facts: Facts) -> str:
        """What the comment has there, in words."""
        ...

    def implies(self, other: "Condition") -> bool:
        """Whether `other` holds wherever this one does."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class LabelIs:
    """The task's label is one of `labels`; of several labels one is enough."""

    key: str
    task: str
    labels: tuple[str, ...]
    needs: ClassVar[str] = "tasks"

    def holds(self, facts: Facts) -> bool:
        return any(label in self.labels for label in _labels(facts.prediction, self.task))

    def found(self, facts: Facts) -> str:
        return ", ".join(_labels(facts.prediction, self.task)) or "none"

    def implies(self, other: Condition) -> bool:
        return isinstance(other, LabelIs) and other.task == self.task and set(self.labels) <= set(other.labels)

    def __str__(self) -> str:
        return f"{self.key} is {' or '.join(self.labels)}"


@dataclass(frozen=True, slots=True)
class ProbabilityIn:
    """The probability of one label of a task, whether it was chosen or not."""

    key: str
    task: str
    label: str
    bounds: Bounds
    needs: ClassVar[str] = "tasks"

    def holds(self, facts: Facts) -> bool:
        return self.bounds.hold(self._value(facts))

    def found(self, facts: Facts) -> str:
        return _number(self._value(facts))

    def implies(self, other: Condition) -> bool:
        same = isinstance(other, ProbabilityIn) and (other.task, other.label) == (self.task, self.label)
        return same and self.bounds.within(other.bounds)  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return f"{self.key} {self.bounds}"

    def _value(self, facts: Facts) -> float:
        task = facts.prediction.tasks.get(self.task)
        return math.nan if task is None else task.probabilities.get(self.label, math.nan)


@dataclass(frozen=True, slots=True)
class NumberIn:
    """`scores.TASK`, `satisfaction`, or a count among the signals."""

    key: str
    bounds: Bounds
    needs: ClassVar[str] = "numbers"

    def holds(self, facts: Facts) -> bool:
        return self.bounds.hold(self._value(facts))

    def found(self, facts: Facts) -> str:
        return _number(self._value(facts))

    def implies(self, other: Condition) -> bool:
        return isinstance(other, NumberIn) and other.key == self.key and self.bounds.within(other.bounds)

    def __str__(self) -> str:
        return f"{self.key} {self.bounds}"

    @property
    def signal(self) -> bool:
        """Whether it asks for a signal, and for more than none."""
        return self.key in ("repeat_contacts", "near_duplicates") and self.bounds.at_least > 0

    def _value(self, facts: Facts) -> float:
        if self.key == "satisfaction":
            return math.nan if facts.prediction.satisfaction is None else facts.prediction.satisfaction
        if self.key.startswith("scores."):
            return facts.prediction.scores.get(self.key.removeprefix("scores."), math.nan)
        return float(getattr(facts.signals, self.key))


@dataclass(frozen=True, slots=True)
class AspectIs:
    """The comment mentions the category, in any aspect task, with one of the polarities."""

    key: str
    category: str
    polarities: tuple[int, ...]
    needs: ClassVar[str] = "aspects"

    def holds(self, facts: Facts) -> bool:
        return any(polarity in self.polarities for polarity in self._found(facts))

    def found(self, facts: Facts) -> str:
        return ", ".join(POLARITIES[polarity] for polarity in self._found(facts)) or "not mentioned"

    def implies(self, other: Condition) -> bool:
        same = isinstance(other, AspectIs) and other.category == self.category
        return same and set(self.polarities) <= set(other.polarities)  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return f"{self.key} is {' or '.join(POLARITIES[polarity] for polarity in self.polarities)}"

    def _found(self, facts: Facts) -> list[int]:
        tasks = facts.prediction.aspects.values()
        return [aspect.polarity for aspects in tasks for aspect in aspects if aspect.category == self.category]


@dataclass(frozen=True, slots=True)
class OriginIs:
    """The comment's channel, or the customer's tier, is one of `names`; upper and lower case are one."""

    key: str  # channel | tier
    names: tuple[str, ...]  # case folded
    needs: ClassVar[str] = "origin"

    def holds(self, facts: Facts) -> bool:
        value = self._value(facts)
        return value is not None and value.casefold() in self.names

    def found(self, facts: Facts) -> str:
        return self._value(facts) or "none"

    def implies(self, other: Condition) -> bool:
        return isinstance(other, OriginIs) and other.key == self.key and set(self.names) <= set(other.names)

    def __str__(self) -> str:
        return f"{self.key} is {' or '.join(self.names)}"

    def _value(self, facts: Facts) -> str | None:
        return facts.channel if self.key == "channel" else facts.tier


@dataclass(frozen=True, slots=True)
class HasFlag:
    """One of the flags is there (`flags`), or every one (`all_flags`)."""

    key: str
    flags: tuple[str, ...]
    needs: ClassVar[str] = "flags"

    @property
    def every(self) -> bool:
        return self.key == "all_flags"

    def holds(self, facts: Facts) -> bool:
        return (all if self.every else any)(flag in facts.flags for flag in self.flags)

    def found(self, facts: Facts) -> str:
        return ", ".join(facts.flags) or "none"

    def implies(self, other: Condition) -> bool:
        if not isinstance(other, HasFlag):
            return False
        if not self.every:  # all that is known is that one of them is there
            return (len(other.flags) == 1 or not other.every) and all(_told_by(flag, other) for flag in self.flags)
        if other.every:
            return all(any(_told_by(flag, other, alone) for flag in self.flags) for alone in other.flags)
        return any(_told_by(flag, other) for flag in self.flags)

    def __str__(self) -> str:
        return f"{self.key} has {(' and ' if self.every else ' or ').join(self.flags)}"

    @property
    def signal(self) -> bool:
        """Whether it holds only where there are signals."""
        return (any if self.every else all)(flag in SIGNAL_FLAGS for flag in self.flags)


def _labels(prediction: Prediction, task: str) -> tuple[str, ...]:
    found = prediction.tasks.get(task)
    if found is None:
        return ()
    return (found.label,) if isinstance(found.label, str) else tuple(found.label)


def _told_by(flag: str, other: HasFlag, *wanted: str) -> bool:
    """Whether `flag` tells that one of the wanted ones, by default any of the other condition's, is there."""
    among = wanted or other.flags
    return flag in among or (DANGER in among and flag.startswith(f"{DANGER}:"))


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.4g}"
