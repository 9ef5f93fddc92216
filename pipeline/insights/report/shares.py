"""Parts of a whole, with how sure they are, and how two of them differ."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy import stats

_Z = 1.96


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else float("nan")

    @property
    def surely(self) -> float:
        """At least so much, at 97.5 %: the lower end of Wilson's interval (1927). Keeps 1 of 1 behind 50 of 80."""
        if not self.of:
            return 0.0
        middle = self.value + _Z**2 / (2 * self.of)
        width = _Z * float(np.sqrt(self.value * (1 - self.value) / self.of + _Z**2 / (4 * self.of**2)))
        return max(0.0, (middle - width) / (1 + _Z**2 / self.of))

    def to_dict(self) -> dict[str, Any]:
        return {"count": self.count, "of": self.of, "share": round(self.value, 4) if self.of else None}


class Verdict(StrEnum):
    """How this week is against before."""

    MORE = "more"
    FEWER = "fewer"
    SAME = "same"  # the difference may be chance
    UNKNOWN = "unknown"  # too few to tell, or nothing to compare with


LEAST_COMPARED = 5
"""Comments on one side at least, below which no difference is told."""


def difference(now: Share, before: Share) -> float:
    """p-value that two shares are the same (Fisher's exact test, two-sided)."""
    table = [[now.count, now.of - now.count], [before.count, before.of - before.count]]
    return float(stats.fisher_exact(table).pvalue)


def verdict(now: Share, before: Share, p_value: float, *, rate: float = 0.05) -> Verdict:
    """In words."""
    if not now.of or not before.of or max(now.count, before.count) < LEAST_COMPARED:
        return Verdict.UNKNOWN
    if p_value > rate:
        return Verdict.SAME
    return Verdict.MORE if now.value > before.value else Verdict.FEWER
