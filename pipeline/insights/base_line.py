"""What a filter's comments are compared with: their days before, but for those on which something was going on.

A base line that learns from an epidemic's first days takes its next ones for usual. As Farrington et al. (1996) weigh
past outbreaks down, so here a day that was itself far outside its own base line is no day to learn from. Days are
judged in order of time, each against those before it, so that an outbreak of several days cannot hide itself in the
dispersion that it makes (which reweighting one fit to all days does not prevent).
"""

from datetime import date

import numpy as np

from pipeline.insights.seasons import LEAST_DAYS, DailyCounts, expected_counts
from pipeline.insights.significance import count_tail
from pipeline.insights.table import Mask

_SURE = 0.0001  # chance of a day's count below which it is an outbreak
_NEAR = 0.01  # the same for each of two days in a row, and for the days next to an outbreak
_LEVEL_VARIANCE = 0.05
_LEVEL_DAYS = 28
_NEW_LEVEL = 14  # outbreak days of the last 28, from which on they are what is usual now
_LOOK_BACK = 84  # days before the first one asked for that are judged: older ones weigh an eighth
_LEAST = 5  # comments of an outbreak's day


class BaseLine:
    """Of daily counts. Asked for days in order of time; `share`: of the share of all comments, `whole`."""

    def __init__(self, counts: DailyCounts, whole: DailyCounts, *, share: bool = False) -> None:
        self._counts = counts
        self._whole = whole
        self._share = share
        self._outbreak = np.zeros(len(counts), dtype=np.bool_)
        self._near = np.zeros(len(counts), dtype=np.bool_)
        self._judged: int | None = None  # the days before it have been

    def against(self, day: date, days: int = 1) -> tuple[float | None, float | None]:
        """Expected count of the `days` up to a day, and P(as many or more); None where too few lie before them."""
        before = (day - self._counts.first).days - days + 1
        if before + days > len(self._counts):
            return None, None
        self._judge(before)
        return self._compared(before, days)

    def outbreaks(self, day: date) -> Mask:
        """(days,) from the first on, those before a day that were far outside."""
        end = max((day - self._counts.first).days, 0)
        self._judge(end)
        return self._outbreak & (np.arange(len(self._counts)) < end)

    def _judge(self, end: int) -> None:
        """Every day before index `end`, against the days before it."""
        if self._judged is None:
            self._judged = max(LEAST_DAYS, end - _LOOK_BACK)
        for at in range(self._judged, min(end, len(self._counts))):
            if self._counts.counts[at] >= _LEAST:
                self._decide(at)
            recent = slice(max(at + 1 - _LEVEL_DAYS, 0), at + 1)
            if self._outbreak[recent].sum() >= _NEW_LEVEL:
                self._outbreak[recent] = False
        self._judged = max(self._judged, end)

    def _decide(self, at: int) -> None:
        p_value = self._compared(at, 1)[1]
        if p_value is None:
            return
        self._near[at] = p_value <= _NEAR
        if p_value > _SURE and not (self._near[at] and self._near[at - 1]):
            return
        self._outbreak[at] = True
        while at > 0 and self._near[at - 1]:
            at -= 1
            self._outbreak[at] = True

    def _compared(self, before: int, days: int) -> tuple[float | None, float | None]:
        without = self._outbreak[:before]
        if before - int(without.sum()) < LEAST_DAYS:
            return None, None
        first = self._counts.first
        expected, dispersion = expected_counts(
            DailyCounts(first, self._counts.counts[:before]), ahead=days, without=without
        )
        mean = float(expected[before:].sum())
        seen = float(self._counts.counts[before : before + days].sum())
        if self._share:
            total = float(self._whole.counts[before : before + days].sum())
            usual = expected_counts(DailyCounts(first, self._whole.counts[:before]), ahead=days)[0]
            mean *= total / max(float(usual[before:].sum()), 1e-9)
        # The level itself is known only as well as the days that it was fitted on tell it.
        variance = dispersion * mean + _LEVEL_VARIANCE * mean**2 / min(before, _LEVEL_DAYS)
        return mean, float(count_tail(np.array([seen]), np.array([mean]), np.array([variance]))[0])
