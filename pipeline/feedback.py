"""The nouns: a comment as it comes in, a labelled one, and what a model says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

Gold: TypeAlias = str | tuple[str, ...] | Mapping[str, int]
"""Gold label of one task: a key (single, ordinal), keys (multi), or {key: -1 | 0 | 1} (aspect)."""


REPEAT_CONTACT = "repeat_contact"
NEAR_DUPLICATE = "near_duplicate"


@dataclass(frozen=True, slots=True)
class Signals:
    """What only whoever keeps the comments knows of one, beside what it says itself."""

    repeat_contacts: int = 0  # earlier comments of the same customer
    near_duplicates: int = 0  # earlier comments that say much the same
    customer_tier: str | None = None  # None: the comment's metadata tell, under the name that the policy gives

    @property
    def flags(self) -> tuple[str, ...]:
        """As rules and reasons know them."""
        told = ((REPEAT_CONTACT, self.repeat_contacts), (NEAR_DUPLICATE, self.near_duplicates))
        return tuple(flag for flag, count in told if count > 0)


@dataclass(frozen=True, slots=True)
class Feedback:
    """One incoming comment."""

    text: str
    id: str = ""
    channel: str | None = None
    created_at: datetime | None = None
    customer_ref: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    signals: Signals | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A comment with gold labels. A task that is missing in `labels` is unlabelled, which is not the same as empty."""

    feedback: Feedback
    labels: Mapping[str, Gold]
    source: str = ""
    group: str = ""  # near-duplicates share one

    @property
    def text(self) -> str:
        return self.feedback.text


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """One task's answer. `probabilities` has every label in schema order; for `multi` they need not sum to 1."""

    label: str | tuple[str, ...]
    probability: float  # of the label; for `multi` the smallest one among those given
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AspectPrediction:
    """One aspect that the comment mentions. `probabilities`: negative, neutral, positive given that it is mentioned."""

    category: str
    polarity: int  # -1, 0, 1
    probability: float  # that it is mentioned with this polarity
    mentioned: float  # that it is mentioned at all
    probabilities: Mapping[str, float]
    satisfaction: float  # 1.0 to 5.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything a model says of one comment: calibrated probabilities, and which model said it."""

    tasks: Mapping[str, TaskPrediction]  # single, ordinal and multi tasks
    aspects: Mapping[str, tuple[AspectPrediction, ...]]  # aspect tasks, most certain first
    model_version: str
    mentioned: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # aspect task -> P(mentioned) of all
    scores: Mapping[str, float] = field(default_factory=dict)  # ordinal task -> P(labels marked `alert`)
    satisfaction: float | None = None  # 1.0 to 5.0, where the schema says how
    truncated: bool = False
    windows: int = 1
    flags: tuple[str, ...] = ()  # such as out_of_scope


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a comment, by when, and why."""

    queue: str
    due_at: datetime | None
    zone: str  # auto | suggest | review
    reasons: tuple[str, ...]
    priority: int | None = None  # 1 is the most pressing; None where nothing tells one
