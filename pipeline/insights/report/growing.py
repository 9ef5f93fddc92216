"""Whether issues grow: found in one half of the week's comments, counted in the other half and in the weeks before.

What is found in a week's comments is found because that week tells much of it: counted in the same comments it seems
to grow where nothing does. On streams without any change, 36 % of 222 issues had a p-value below 0.05 that way, and
1 % the way it is done here; of 200 issues in 84,178 real comments at random times 16 % and 5 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
from scipy import stats

from pipeline.insights.groups import Group, find_groups
from pipeline.insights.report.signs import signs_of
from pipeline.insights.report.week import BASE_WEEKS, Week
from pipeline.insights.seasons import Doubles
from pipeline.insights.table import FeedbackTable, Ints, Mask
from pipeline.insights.terms import Terms
from pipeline.insights.trends import Period, rows_of

OVERLAP = 0.5
"""Of the smaller of two sets of comments, from which they are one issue."""

_LEAST = 2  # comments of a half
_FALLING = 0.05  # p-value that fewer tell it than a week ago, below which it does not grow any more


@dataclass(frozen=True, eq=False)
class Halves:
    """`halves`: (2, n) rows of the week, every other one; `groups`: of each half, found in it alone."""

    texts: Sequence[str]  # plain ones
    halves: tuple[Mask, Mask]
    groups: tuple[tuple[Group, ...], tuple[Group, ...]]
    base: Mask
    early: Mask  # the older half of the base line, empty where the data begin too late
    last: Mask  # the week before
    known: dict[tuple[int, int], float] = field(default_factory=dict)  # half and group -> p-value, once it is asked for

    def p_values(self, sets: Sequence[Ints]) -> Doubles:
        """(sets,) that each is not told more often than before; 1 where neither half finds it by itself."""
        return np.array([min(1.0, 2 * min(self._p_value(rows, half) for half in (0, 1))) for rows in sets])

    def _p_value(self, rows: Ints, half: int) -> float:
        at = np.flatnonzero(self.halves[half])
        inside = np.isin(at, rows)
        shared = [int(inside[group.rows].sum()) for group in self.groups[half]]
        best = int(np.argmax(shared)) if shared else -1
        if best < 0 or shared[best] < OVERLAP * min(len(self.groups[half][best]), int(inside.sum())):
            return 1.0
        if not shared[best]:
            return 1.0
        if (half, best) not in self.known:
            self.known[half, best] = self._of_group(half, best)
        return self.known[half, best]

    def _of_group(self, half: int, which: int) -> float:
        at, group = np.flatnonzero(self.halves[half]), self.groups[half][which]
        belongs = np.zeros(len(at), dtype=np.bool_)
        belongs[group.rows] = True
        signs = signs_of([phrase.text for phrase in group.phrases], [self.texts[i] for i in at.tolist()], belongs)
        if signs is None:
            return 1.0
        found = signs.found(self.texts)
        other = self.halves[1 - half]
        return min(1.0, 2 * min(more(found, other, self.base), self._ramp(found, other)))

    def _ramp(self, found: Mask, other: Mask) -> float:
        """Against the older half of the base line: what has grown for weeks stands in its mean already."""
        if not self.early.any() or _fewer(found, other, self.last) < _FALLING:
            return 1.0
        if found[other].mean() <= found[self.base].mean():
            return 1.0
        return more(found, other, self.early)


def halve(recent: FeedbackTable, terms: Terms, texts: Sequence[str], week: Week) -> Halves:
    """`texts`: plain ones of the recent table."""
    at = np.flatnonzero(rows_of(recent.days, week.period))
    parts = at[0::2], at[1::2]
    masks, groups = [], []
    for part in parts:
        mask = np.zeros(len(recent), dtype=np.bool_)
        mask[part] = True
        masks.append(mask)
        found = find_groups(recent.take(part), replace(terms, matrix=terms.matrix[part]), least=_LEAST)
        groups.append(tuple(found) if len(part) else ())
    middle = week.base.first + timedelta(days=7 * BASE_WEEKS // 2)
    return Halves(
        texts,
        (masks[0], masks[1]),
        (groups[0], groups[1]),
        base=rows_of(recent.days, week.base),
        early=rows_of(recent.days, Period(week.base.first, middle - timedelta(days=1))),
        last=rows_of(recent.days, Period(week.first - timedelta(days=7), week.base.last)),
    )


def more(found: Mask, now: Mask, before: Mask) -> float:
    """p-value of its share of `now` being no larger than of `before` (Fisher's exact test)."""
    a, c, n, m = _counts(found, now, before)
    return float(stats.hypergeom.sf(a - 1, n + m, a + c, n))


def _fewer(found: Mask, now: Mask, before: Mask) -> float:
    a, c, n, m = _counts(found, now, before)
    return float(stats.hypergeom.cdf(a, n + m, a + c, n))


def _counts(found: Mask, now: Mask, before: Mask) -> tuple[int, int, int, int]:
    return int(found[now].sum()), int(found[before].sum()), int(now.sum()), int(before.sum())
