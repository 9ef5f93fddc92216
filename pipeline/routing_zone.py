"""Who may act on a decision, by how sure the model is.

Zones: `auto` may be acted on unseen, `suggest` is worth proposing to a person, `review` needs a person's reading.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.feedback import Prediction

ZONES = ("auto", "suggest", "review")

NEVER = 1.01
"""A threshold that no probability reaches."""

OUT_OF_SCOPE = "out_of_scope"
CONTRADICTION = "contradiction"
"""Flags of a prediction that keep its comment from being acted on unseen; the reasons are called the same."""

TRUNCATED = "truncated"
"""Reason of a comment that the model has not read to its end."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Least probability of a task's label for the zones `auto` and `suggest`."""

    auto: float
    suggest: float


UNFITTED = Thresholds(auto=NEVER, suggest=0.6)
"""Of a task for which nobody measured what its probabilities are worth."""


def zone_of(
    prediction: Prediction, counted: Iterable[str], thresholds: Mapping[str, Thresholds]
) -> tuple[str, tuple[str, ...]]:
    """The zone of the least certain of the `counted` tasks, and why it is not `auto`."""
    reasons = [TRUNCATED] if prediction.truncated else []
    if CONTRADICTION in prediction.flags:
        reasons.append(CONTRADICTION)
    if OUT_OF_SCOPE in prediction.flags:
        return "review", (OUT_OF_SCOPE, *reasons)
    routed = [name for name in counted if name in prediction.tasks]
    if not routed:
        return "review", ("no_routed_task", *reasons)
    worst = 2 if prediction.truncated else len(reasons)  # a contradiction is worth proposing
    for name in routed:
        limits = thresholds.get(name, UNFITTED)
        probability = prediction.tasks[name].probability
        # Asked this way round, so that NaN goes to a person.
        if not probability >= limits.suggest:
            worst = 2
            reasons.append(f"below_suggest:{name}")
        elif not probability >= limits.auto:
            worst = max(worst, 1)
            reasons.append(f"below_auto:{name}")
    return ZONES[worst], tuple(reasons)
