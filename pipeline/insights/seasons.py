"""What a usual day brings: counts by weekday and Chinese holiday, and how many comments these lead to expect."""

import warnings
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.insights.table import Days, Ints, Mask
from pipeline.workdays import DayKind, Holidays, Workdays
from pipeline.workdays import day as day_of

Doubles = npt.NDArray[np.float64]

LEAST_DAYS = 14
_HALF_LIFE = 28.0  # days: older ones count half
_FITTED = 728  # days: what is older would weigh less than 1e-7, and takes time
_WEEKS = 3  # of history before each weekday has a factor of its own
_LEAST_HOLIDAYS = 2  # before holidays have one


@dataclass(frozen=True, eq=False)
class DailyCounts:
    """`counts`: (days,) of consecutive local days from `first` on."""

    first: date
    counts: Doubles

    def __len__(self) -> int:
        return len(self.counts)

    def days(self, extra: int = 0) -> list[date]:
        return [date.fromordinal(self.first.toordinal() + i) for i in range(len(self) + extra)]


def daily_counts(days: Days, rows: Mask | None = None) -> DailyCounts:
    """Rows a day, from the table's first day to its last, gaps as 0. Raises DataError `no_times`."""
    known = ~np.isnat(days)
    if not known.any():
        raise DataError(
            "no_times", "no row has a time, so that nothing can be counted by day; give a column created_at"
        )
    first, last = days[known].min(), days[known].max()
    counted = days[known if rows is None else known & rows]
    place = (counted - first).astype(np.int64)
    counts = np.bincount(place, minlength=int((last - first).astype(np.int64)) + 1)
    return DailyCounts(first.astype(object), counts.astype(np.float64))


@lru_cache(maxsize=8192)
def is_off(of: date) -> bool:
    """Whether most people are off: a weekend that nobody makes up for, or a public holiday of China."""
    return day_of(of, Workdays.CHINA, Holidays()).kind is not DayKind.WORKING


@lru_cache(maxsize=8192)
def _season(of: date) -> tuple[int, bool]:
    """Weekday whose pattern the day follows, and whether it is a public holiday.

    A weekend that makes up for a holiday counts as Monday to Friday's middle, a Wednesday.
    """
    found = day_of(of, Workdays.CHINA, Holidays())
    return (2 if found.makes_up else of.weekday()), found.kind is DayKind.HOLIDAY


def design(days: list[date], *, history: int) -> Doubles:
    """(days, columns) of a log-linear model: level, weekdays, holiday. Columns follow from the first `history` days."""
    seasons = [_season(day) for day in days]
    columns: list[list[float]] = [[1.0] * len(days)]
    if history >= 7 * _WEEKS:
        columns += [[float(weekday == i and not off) for weekday, off in seasons] for i in range(1, 7)]
    elif history >= 7:
        columns.append([float(is_off(day)) for day in days])
    if sum(off for _, off in seasons[:history]) >= _LEAST_HOLIDAYS:
        columns.append([float(off) for _, off in seasons])
    found = np.array(columns).T
    seen = np.any(found[:history] != 0, axis=0)
    return found[:, seen]


def expected_counts(series: DailyCounts, *, ahead: int, without: Mask | None = None) -> tuple[Doubles, float]:
    """(days + ahead,) counts that a quasi-Poisson regression expects, and its dispersion (variance over mean, >= 1).

    Recent days weigh more, so that the level follows; those of two years and more ago not at all. `without`: (days,)
    days that the regression is not to learn from. Raises DataError `too_few_days`.
    """
    history = len(series)
    known = np.ones(history, dtype=np.bool_) if without is None else ~without
    if known.sum() < LEAST_DAYS:
        raise DataError("too_few_days", f"expected at least {LEAST_DAYS} days of comments; found {known.sum()}")
    known[: max(history - _FITTED, 0)] = False
    counts = series.counts[known]
    if not counts.any():
        return np.zeros(history + ahead), 1.0
    matrix = design(series.days(ahead), history=history)
    weights = 0.5 ** (np.arange(history)[::-1][known] / _HALF_LIFE)
    matrix = matrix[:, np.any(matrix[:history][known] != 0, axis=0)]
    fitted = np.exp(np.clip(matrix @ _fit(matrix[:history][known], counts, weights), -12, 25))
    freedom = max(weights.sum() - matrix.shape[1], 1.0)
    expected = fitted[:history][known]
    pearson = (counts - expected) ** 2 / np.maximum(expected, 1e-9)
    return fitted, max(1.0, float((weights * pearson).sum() / freedom))


def _fit(matrix: Doubles, counts: Doubles, weights: Doubles) -> Any:
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning, SingularMatrixWarning

    with warnings.catch_warnings():
        # Days that are all alike are predicted perfectly, which is no mistake here.
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        # A kind of day that did not occur leaves its factor open; the pseudoinverse takes the smallest one.
        warnings.simplefilter("ignore", SingularMatrixWarning)
        return _glm(matrix, counts, weights)


def _glm(matrix: Doubles, counts: Doubles, weights: Doubles) -> Any:
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    # A tenth of a comment more a day keeps a weekday on which nothing ever came from going to minus infinity.
    return GLM(counts + 0.1, matrix, family=Poisson(), freq_weights=weights).fit().params


def day_indices(days: Days, first: date) -> Ints:
    """(n,) days since `first`, -1 where a row has no time."""
    known = ~np.isnat(days)
    found = np.full(len(days), -1, dtype=np.int64)
    found[known] = (days[known] - np.datetime64(first)).astype(np.int64)
    return found
