"""Counts and rates over time, per label and attribute: what changed between two periods, and what is expected next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from scipy import stats

from pipeline.errors import DataError
from pipeline.insights.seasons import Doubles, daily_counts
from pipeline.insights.series import Membership, Series
from pipeline.insights.significance import adjusted, discoveries
from pipeline.insights.table import Days, FeedbackTable, Ints, Mask

CHANGE_RATE = 0.05
_LEAST = 5
_WITHIN = 0.8  # of a change's comments that a greater change holds which it is told with …
_SAME = 0.5  # … or the Jaccard similarity of the two


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    def days(self) -> list[date]:
        return [self.first + timedelta(days=i) for i in range((self.last - self.first).days + 1)]

    def __str__(self) -> str:
        return f"{self.first} … {self.last}"


def rows_of(days: Days, period: Period) -> Mask:
    """(n,) rows of a period; those without a day are of none."""
    return np.asarray((days >= np.datetime64(period.first)) & (days <= np.datetime64(period.last)))


@dataclass(frozen=True, slots=True)
class Change:
    """A series in two periods: comments and shares of all comments. `ratio` of the shares, with its 95 % interval."""

    series: Series
    before: int
    now: int
    share_before: float
    share_now: float
    ratio: float
    interval: tuple[float, float]
    q_value: float
    certain: bool  # believed at the false discovery rate
    also: tuple[Series, ...] = ()  # that changed with it and hold nearly the same comments

    @property
    def sure_size(self) -> float:
        """Log of how much at least: of the bound of the interval that is nearer to no change, negative beyond it."""
        low, high = self.interval
        return float(np.log(low)) if self.ratio > 1 else -float(np.log(high))

    def to_dict(self) -> dict[str, Any]:
        return {
            "series": self.series.name,
            "kind": str(self.series.family),
            "before": self.before,
            "now": self.now,
            "share_before": round(self.share_before, 5),
            "share_now": round(self.share_now, 5),
            "ratio": round(self.ratio, 3),
            "interval": [round(bound, 3) for bound in self.interval],
            "q_value": self.q_value,
            "certain": self.certain,
            "also": [series.name for series in self.also],
        }


def last_periods(table: FeedbackTable, days: int = 7) -> tuple[Period, Period]:
    """The table's last `days` days, and as many before them. Raises DataError `no_times`, `too_few_days`."""
    counts = daily_counts(table.days)
    if len(counts) < 2 * days:
        raise DataError(
            "too_few_days", f"expected at least {2 * days} days to compare {days} with; found {len(counts)}"
        )
    last = counts.days()[-1]
    now = Period(last - timedelta(days=days - 1), last)
    return Period(now.first - timedelta(days=days), now.first - timedelta(days=1)), now


def changes(
    table: FeedbackTable, members: Membership, before: Period, now: Period, *, rate: float = CHANGE_RATE
) -> list[Change]:
    """Every series that is frequent enough, the largest certain change first.

    Shares are compared by Fisher's exact test, so that a busier week changes nothing by itself.
    """
    old, new = (_counts(table, members, period) for period in (before, now))
    kept = np.flatnonzero(np.maximum(old[0], new[0]) >= _LEAST)
    a, c = new[0][kept], old[0][kept]
    n, m = new[1], old[1]
    if not len(kept) or not n or not m:
        return []
    p_values = _two_sided(a, c, n, m)
    certain = discoveries(p_values, rate, tests=members.tests[kept])
    q_values = adjusted(p_values)
    found = []
    for j, i in enumerate(kept):
        low = (a[j] + 0.5) / (n + 1.0), (c[j] + 0.5) / (m + 1.0)
        ratio = low[0] / low[1]
        width = 1.96 * float(np.sqrt(max(1 / (a[j] + 0.5) - 1 / (n + 1) + 1 / (c[j] + 0.5) - 1 / (m + 1), 0)))
        interval = float(ratio * np.exp(-width)), float(ratio * np.exp(width))
        found.append(
            Change(
                members.series[i], int(c[j]), int(a[j]), c[j] / m, a[j] / n, float(ratio), interval,
                float(q_values[j]), bool(certain[j]),
            )
        )  # fmt: skip
    return sorted(found, key=lambda change: (not change.certain, -abs(np.log(change.ratio)), change.series.name))


def told_once(
    found: Sequence[Change], table: FeedbackTable, members: Membership, before: Period, now: Period
) -> list[Change]:
    """Changes, what surely changed most first; certain ones with nearly the same comments as one, the others `also`."""
    order = sorted(found, key=lambda change: (not change.certain, -change.sure_size, change.series.name))
    place = {series: i for i, series in enumerate(members.series)}
    columns = [members.matrix[rows_of(table.days, period)].tocsc() for period in (before, now)]
    told: list[Change] = []
    held: list[Ints] = []  # of each certain one of these, its comments in the period where it has more
    for change in order:
        column, i = columns[change.ratio > 1], place[change.series]
        rows = column.indices[column.indptr[i] : column.indptr[i + 1]] if change.certain else np.zeros(0, np.int64)
        alike = (
            k
            for k, other in enumerate(told)
            if change.certain and (other.ratio > 1) == (change.ratio > 1) and _is_about(rows, held[k])
        )
        first = next(alike, None)
        if first is None:
            told.append(change)
            held.append(rows)
        else:
            told[first] = replace(told[first], also=(*told[first].also, change.series))
    return told


def _is_about(rows: Ints, others: Ints) -> bool:
    common = len(np.intersect1d(rows, others))
    return common >= _WITHIN * len(rows) or common >= _SAME * (len(rows) + len(others) - common)


def _counts(table: FeedbackTable, members: Membership, period: Period) -> tuple[Doubles, int]:
    rows = np.flatnonzero(rows_of(table.days, period))
    return np.asarray(members.matrix[rows].sum(axis=0), dtype=np.float64).ravel(), len(rows)


def _two_sided(a: Doubles, c: Doubles, n: int, m: int) -> Doubles:
    """Twice the smaller tail of the hypergeometric distribution, which bounds Fisher's two-sided test."""
    above = stats.hypergeom.sf(a - 1, n + m, a + c, n)
    below = stats.hypergeom.cdf(a, n + m, a + c, n)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(above, below)))


def weekly_rates(table: FeedbackTable, members: Membership, names: Sequence[str]) -> dict[str, list[float]]:
    """Series name -> its share of each week's comments, weeks ending with the table's last day."""
    counts = daily_counts(table.days)
    last = np.datetime64(counts.days()[-1])
    known = ~np.isnat(table.days)
    week = np.full(len(table), -1, dtype=np.int64)
    week[known] = (last - table.days[known]).astype(np.int64) // 7
    weeks = int(week.max()) + 1
    index = {series.name: i for i, series in enumerate(members.series)}
    found = {}
    columns = members.matrix.tocsc()
    total = np.bincount(week[known], minlength=weeks)
    for name in names:
        i = index[name]
        rows = columns.indices[columns.indptr[i] : columns.indptr[i + 1]]
        held = np.bincount(week[rows][week[rows] >= 0], minlength=weeks)
        found[name] = (held / np.maximum(total, 1))[::-1].round(5).tolist()
    return found
