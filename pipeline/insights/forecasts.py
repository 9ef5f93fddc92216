"""How many comments to expect on the days ahead, with intervals that were tried on the past.

A log-linear regression on weekday and holiday follows the level (pipeline/insights/seasons.py). How wide the intervals
are is measured, not assumed: the model is refitted on earlier days, its misses are put in order, and the interval that
would have held as many of them as it promises is the one that is given (split conformal prediction, Vovk et al. 2005).
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.insights.seasons import LEAST_DAYS, DailyCounts, Doubles, expected_counts

_LEAST_ORIGINS = 8
_MOST_ORIGINS = 60
_KEPT_BACK = 0.5  # of the history that the back-test is made on, at most


@dataclass(frozen=True, slots=True)
class DayAhead:
    """What is expected of one day. `lower` and `upper` bound the interval."""

    day: date
    expected: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Backtest:
    """Days forecast from days before them, and how many lay within the interval made from still earlier misses."""

    nominal: float
    covered: float | None  # None where there were too few days
    days: int
    error: float | None  # mean absolute error over the mean count
    naive_error: float | None  # of taking the same weekday a week before


@dataclass(frozen=True, eq=False)
class Forecast:
    """A forecast with what the past says of it."""

    days: tuple[DayAhead, ...]
    backtest: Backtest

    def to_dict(self) -> dict[str, Any]:
        ahead = [
            {"day": str(day.day), "expected": round(day.expected, 1), "lower": day.lower, "upper": day.upper}
            for day in self.days
        ]
        test = self.backtest
        return {
            "days": ahead,
            "backtest": {
                "nominal": test.nominal,
                "covered": None if test.covered is None else round(test.covered, 3),
                "days": test.days,
                "error": None if test.error is None else round(test.error, 3),
                "naive_error": None if test.naive_error is None else round(test.naive_error, 3),
            },
        }


def forecast(series: DailyCounts, *, ahead: int = 14, level: float = 0.9) -> Forecast:
    """The next `ahead` days with an interval for each that holds the count with probability `level`.

    Raises DataError `too_few_days`.
    """
    if len(series) < LEAST_DAYS + _LEAST_ORIGINS:
        wanted = LEAST_DAYS + _LEAST_ORIGINS
        raise DataError(
            "too_few_days", f"expected at least {wanted} days of comments to forecast from; found {len(series)}"
        )
    scores, truth, errors, naive = _misses(series, ahead)
    expected, dispersion = expected_counts(series, ahead=ahead)
    days = series.days(ahead)[len(series) :]
    found = []
    for step, (day, mean) in enumerate(zip(days, expected[len(series) :], strict=True)):
        wide = _quantile(_near(scores, step), level) * _scale(mean, dispersion)
        found.append(DayAhead(day, float(mean), float(max(0, np.floor(mean - wide))), float(np.ceil(mean + wide))))
    mean_count = float(np.mean(truth)) if len(truth) else 0.0
    test = Backtest(
        nominal=level,
        covered=_coverage(scores, level),
        days=int(np.isfinite(scores).any(axis=1).sum()),
        error=float(np.mean(errors)) / mean_count if mean_count else None,
        naive_error=float(np.mean(naive)) / mean_count if mean_count and len(naive) else None,
    )
    return Forecast(tuple(found), test)


def _misses(series: DailyCounts, ahead: int) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """(origins, ahead) misses in standard deviations, NaN beyond the end; and counts, errors, naive errors as lists."""
    count = len(series)
    origins = min(_MOST_ORIGINS, max(_LEAST_ORIGINS, int(_KEPT_BACK * count)))
    begin = max(LEAST_DAYS, count - origins)
    scores = np.full((count - begin, ahead), np.nan)
    truth, errors, naive = [], [], []
    for row, origin in enumerate(range(begin, count)):
        before = DailyCounts(series.first, series.counts[:origin])
        steps = min(ahead, count - origin)
        expected, dispersion = expected_counts(before, ahead=steps)
        seen = series.counts[origin : origin + steps]
        misses = np.abs(seen - expected[origin:])
        scores[row, :steps] = misses / _scale(expected[origin:], dispersion)
        truth += seen.tolist()
        errors += misses.tolist()
        naive += [abs(series.counts[origin + i] - series.counts[origin + i - 7 * (i // 7 + 1)]) for i in range(steps)]
    return scores, np.array(truth), np.array(errors), np.array(naive)


def _scale(mean: Any, dispersion: float) -> Any:
    return np.sqrt(dispersion * np.maximum(mean, 0.5))


def _near(scores: Doubles, step: int) -> Doubles:
    """Misses at about this many days ahead: those of one step alone are few."""
    width = 3
    columns = scores[:, max(0, step - width) : step + width + 1]
    return np.asarray(columns[np.isfinite(columns)])


def _quantile(scores: Doubles, level: float) -> float:
    """The smallest miss that a share `level` of them lie below, counting the one to come."""
    ordered = np.sort(scores)
    place = int(np.ceil(level * (len(ordered) + 1))) - 1
    return float(ordered[min(max(place, 0), len(ordered) - 1)])


def _coverage(scores: Doubles, level: float) -> float | None:
    """Share of days that lay within intervals made only from misses that were known at their origin."""
    hits = []
    for origin in range(_LEAST_ORIGINS, len(scores)):
        # Of an earlier origin, as many steps are known by now as days have passed since.
        known = np.concatenate([scores[i, : origin - i] for i in range(origin)])
        known = known[np.isfinite(known)]
        ahead = scores[origin][np.isfinite(scores[origin])]
        if len(known) >= _LEAST_ORIGINS:
            hits += (ahead <= _quantile(known, level)).tolist()
    return float(np.mean(hits)) if hits else None
