"""What is far more frequent on a day than its base line says, among thousands of series at once.

A series' share of the day's comments is compared with its share before (so that a busy day makes no burst), days off
with days off as far as there are enough. The predictive distribution of the count is a negative binomial: Poisson for
chance, the uncertainty of the share, and the overdispersion that the series showed. The false discovery rate is held
over all series of the day.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from scipy import sparse

from pipeline.errors import DataError
from pipeline.insights.seasons import LEAST_DAYS, DailyCounts, Doubles, day_indices, expected_counts, is_off
from pipeline.insights.series import Membership, Series
from pipeline.insights.significance import count_tail, discoveries
from pipeline.insights.table import Days, Ints, Mask

RATE = 0.01
"""False discovery rate of a day: on quiet days one in a hundred has a false burst."""

_HISTORY = 56  # days of base line
_LEAST = 5  # comments of a burst
_LIFT = 1.5
_PRIOR = 0.5  # comments that a series is credited with beforehand, at the share of the rarest one
_KIND_STRENGTH = 200.0  # comments on days of a kind at which their own share counts half
_OUTBREAK = 0.0001  # chance of a past day's count below which it teaches nothing
_NEW_LEVEL = 14  # such days of a series, from which on they are its level
_LEAST_WINDOWS = 4  # of several days each, before the one that is looked at
_WINDOWS = 8  # of base line at least


@dataclass(frozen=True, slots=True)
class Burst:
    """A series on a day: comments counted, comments expected."""

    series: Series
    index: int  # of the series in its Membership
    day: date
    count: int
    expected: float
    p_value: float

    @property
    def lift(self) -> float:
        return self.count / max(self.expected, 0.1)


@dataclass(frozen=True, eq=False)
class Baseline:
    """What each series is expected to count on a day: (series,) mean and variance, and the day's counts."""

    day: date
    counts: Doubles
    mean: Doubles
    variance: Doubles
    tests: Doubles  # (series,) as how many tests each counts: those of its family, times the number of families

    def p_values(self, counts: Doubles, at: Ints | None = None) -> Doubles:
        """Of counts in place of the day's, of all series or of some."""
        part = slice(None) if at is None else at
        return count_tail(counts[part], self.mean[part], self.variance[part])

    def striking(self, counts: Doubles) -> Mask:
        """Whether a count is worth telling at all."""
        return np.asarray((counts >= _LEAST) & (counts >= _LIFT * self.mean))


def baseline(members: Membership, days: Days, day: date, *, width: int = 1) -> Baseline:
    """From the days before; or of the `width` days up to one, from as many such windows before.

    Raises DataError `too_few_days`.
    """
    windows = max(_HISTORY // width, _WINDOWS)
    first = day - timedelta(days=(windows + 1) * width - 1)
    by_days = day_indices(days, first)
    at = by_days // width
    rows = np.flatnonzero((at >= 0) & (at <= windows))
    by_day = sparse.csr_matrix((np.ones(len(rows), np.float32), (at[rows], rows)), shape=(windows + 1, len(days)))
    totals = np.asarray(by_day.sum(axis=1), dtype=np.float64).ravel()
    began = int(np.flatnonzero(totals)[0]) if totals.any() else windows
    least = least_windows(width)
    found = windows * width - int(by_days[rows].min()) if len(rows) else 0
    if found < least * width:
        raise DataError("too_few_days", f"expected {least * width} days before {day}; found {max(found, 0)}")
    counts = (by_day[began:] @ members.matrix).tocsr().astype(np.float64)
    # Weeks are all alike; of two or three days in a row nobody knows what kind they are.
    off = np.array([width == 1 and is_off(first + timedelta(days=began + i)) for i in range(counts.shape[0])])
    calm, left_out = _calm(counts[:-1], totals[began:-1], least=least, new_level=-(-_NEW_LEVEL // width))
    mean, variance = _predicted(calm, left_out, totals[began:-1], off, float(totals[-1]))
    return Baseline(day, np.asarray(counts[-1].todense()).ravel(), mean, variance, members.tests)


def find_bursts(members: Membership, days: Days, day: date, *, rate: float = RATE) -> list[Burst]:
    """Bursts of one day, the surest first; several may be about the same comments. Raises DataError `too_few_days`."""
    base = baseline(members, days, day)
    p_values = base.p_values(base.counts)
    # Families are tested whole: leaving out what is rare today would make the rest look surer than it is.
    found = discoveries(p_values, rate, tests=base.tests) & base.striking(base.counts)
    bursts = [burst_of(members, base, int(i), base.counts, float(p_values[i])) for i in np.flatnonzero(found)]
    return sorted(bursts, key=lambda burst: (burst.p_value, -burst.lift, burst.series.name))


def burst_of(members: Membership, base: Baseline, index: int, counts: Doubles, p_value: float) -> Burst:
    """One series' burst."""
    return Burst(members.series[index], index, base.day, int(counts[index]), float(base.mean[index]), p_value)


def least_windows(width: int) -> int:
    """Windows of so many days that a base line takes."""
    return max(-(-LEAST_DAYS // width), _LEAST_WINDOWS)


def _calm(counts: Any, totals: Doubles, *, least: int, new_level: int) -> tuple[Any, Any]:
    """(days, series) counts without those of days on which a series burst, and csr of 1 where that is so.

    Each day is judged against the calm ones before it, as pipeline/insights/base_line.py does for one series: on the
    third day of an incident its first two are no base line.
    """
    width = counts.shape[1]
    summed, squares, seen = np.full(width, _PRIOR), np.zeros(width), np.full(width, 1.0)
    outbreaks: list[tuple[int, Ints]] = []
    for at in range(counts.shape[0]):
        part = slice(counts.indptr[at], counts.indptr[at + 1])
        series, count = counts.indices[part].astype(np.int64), counts.data[part]
        if at >= least:
            place = np.flatnonzero((count >= _LEAST) & (count * seen[series] >= 2 * totals[at] * summed[series]))
            held = series[place]
            share = summed[held] / seen[held]
            mean, days = totals[at] * share, at * seen[held] / max(totals[:at].sum(), 1.0)
            spread = _spread(squares[held] / share, summed[held] - _PRIOR, seen[held] * share, days)
            p_values = count_tail(count[place], mean, spread * mean + mean**2 * spread / summed[held])
            burst = held[p_values <= _OUTBREAK]
            outbreaks.append((at, burst))
            seen[burst] -= totals[at]
            kept = ~np.isin(series, burst)
            series, count = series[kept], count[kept]
        seen += totals[at]
        summed[series] += count
        squares[series] += count**2 / max(totals[at], 1.0)
    rows = np.concatenate([np.full(len(burst), at) for at, burst in outbreaks] or [np.zeros(0, np.int64)])
    columns = np.concatenate([burst for _, burst in outbreaks] or [np.zeros(0, np.int64)])
    short = np.bincount(columns, minlength=width)[columns] < new_level
    rows, columns = rows[short], columns[short]
    left_out = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=counts.shape)
    return (counts - counts.multiply(left_out)).tocsr(), left_out


def _predicted(counts: Any, left_out: Any, totals: Doubles, off: Any, today: float) -> tuple[Doubles, Doubles]:
    """(series,) mean and variance of today's counts, from (days, series) before. `off`: (days + 1,), today last."""
    summed = np.asarray(counts.sum(axis=0)).ravel() + _PRIOR
    total = totals.sum() - left_out.T @ totals
    share = summed / (total + 1.0)
    alike = off[:-1] == off[-1]
    kind = np.asarray(counts[alike].sum(axis=0)).ravel()
    strength = _KIND_STRENGTH
    same = (kind + strength * share) / (totals[alike].sum() - left_out[alike].T @ totals[alike] + strength)
    mean = today * np.where(alike.sum() >= 7, same, share)
    inverse = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
    squares = np.asarray(counts.multiply(counts).T @ inverse).ravel() / share
    days = int((totals > 0).sum()) - np.asarray(left_out.sum(axis=0)).ravel()
    dispersion = _spread(squares, summed - _PRIOR, total * share, days)
    # Gamma posterior of the share: relative variance of one over the comments seen.
    return mean, dispersion * mean + mean**2 * dispersion / summed


def _spread(squares: Doubles, summed: Doubles, expected: Doubles, days: Doubles) -> Doubles:
    """(series,) variance over mean in the past, at least 1; of series that were seen rarely, near 1.

    Pearson's statistic without the dense matrix: sum of (c - e)^2 / e = sum of c^2 / e (`squares`) - 2 sum of c
    (`summed`) + sum of e (`expected`).
    """
    freedom = np.maximum(days - 1, 1)
    prior = 10.0
    return np.asarray(np.maximum(1.0, (squares - 2 * summed + expected + prior) / (freedom + prior)))


@dataclass(frozen=True, slots=True)
class VolumeBurst:
    """A day with more comments in all than weekday, holiday and level lead to expect."""

    day: date
    count: int
    expected: float
    p_value: float


def volume_burst(series: DailyCounts) -> VolumeBurst:
    """The last day of a series against the days before. Raises DataError `too_few_days`."""
    before = DailyCounts(series.first, series.counts[:-1])
    expected, dispersion = expected_counts(before, ahead=1)
    mean = np.array([expected[-1]])
    p_value = count_tail(series.counts[-1:], mean, dispersion * mean + mean**2 / max(len(before), 1) * 0.05)
    return VolumeBurst(series.days()[-1], int(series.counts[-1]), float(mean[0]), float(p_value[0]))
