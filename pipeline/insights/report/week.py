"""The week that a report is about: Monday to Sunday, by ISO 8601, in local days."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pipeline.errors import DataError, UsageError
from pipeline.insights.table import Days, FeedbackTable
from pipeline.insights.trends import Period, rows_of

BASE_WEEKS = 4
"""What a week is compared with: as many weeks before it."""

_HISTORY_WEEKS = 8  # that the number of comments to expect follows from
_SHARE_OF_USUAL = 0.2  # of a usual week's comments, from which a week is one to report on
_FAR = 26  # weeks from the next one with comments enough, beyond which a date is thought mistyped
_NAME = re.compile(r"(\d{4})-?W(\d{1,2})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Week:
    """`first`: its Monday."""

    first: date

    @classmethod
    def of(cls, day: date) -> "Week":
        """The week that holds a day."""
        return cls(day - timedelta(days=day.weekday()))

    @property
    def last(self) -> date:
        return self.first + timedelta(days=6)

    def after(self) -> "Week":
        """The next one."""
        return Week(self.first + timedelta(days=7))

    @property
    def number(self) -> int:
        return self.first.isocalendar().week

    @property
    def year(self) -> int:
        return self.first.isocalendar().year

    def __str__(self) -> str:
        return f"{self.year}-W{self.number:02}"

    @property
    def period(self) -> Period:
        return Period(self.first, self.last)

    @property
    def base(self) -> Period:
        """The weeks that it is compared with."""
        return Period(self.first - timedelta(days=7 * BASE_WEEKS), self.first - timedelta(days=1))

    @property
    def history(self) -> Period:
        return Period(self.first - timedelta(days=7 * _HISTORY_WEEKS), self.first - timedelta(days=1))


def parse_week(text: str) -> Week:
    """From `2026-W47`. Raises UsageError `week_invalid`."""
    found = _NAME.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        return Week(date.fromisocalendar(int(found[1]), int(found[2]), 1))
    except ValueError:
        raise UsageError("week_invalid", f"a week is written as 2026-W47; found {text!r}") from None


@dataclass(frozen=True, slots=True)
class Span:
    """The weeks that the data are of, and the days of the rows outside them (dates mistyped, or still to come)."""

    period: Period
    outside: Days


def data_span(days: Days, today: date | None = None) -> Span:
    """From the first to the last day, without weeks of next to nothing that lie far from all others or after today.

    A week counts where it has a fifth of the comments of the week that the middle one of all comments is in. Raises
    DataError `no_times`. `today`: None: the one that it is.
    """
    known = days[~np.isnat(days)]
    if not len(known):
        raise DataError(
            "no_times", "no row has a time, so that there is no week to report on; give a column created_at"
        )
    monday = np.datetime64("1970-01-05")
    weeks = (known - monday).astype(np.int64) // 7
    values, counts = np.unique(weeks, return_counts=True)
    usual = np.repeat(np.sort(counts), np.sort(counts))[len(known) // 2]
    full = values[counts >= _SHARE_OF_USUAL * usual]
    last = full[-1]
    now = (np.datetime64(today or date.today()) - monday).astype(np.int64) // 7
    near = np.abs(values[:, None] - full[None, :]).min(axis=1) <= _FAR
    kept = near & (values <= (now if last <= now else last + 1))
    inside = np.isin(weeks, values[kept])
    within = known[inside] if inside.any() else known
    period = Period(within.min().astype(object), within.max().astype(object))
    return Span(period, np.sort(known[~inside]) if inside.any() else known[:0])


def choose_week(days: Days, asked: Week | None = None, today: date | None = None) -> Week:
    """The week asked for, else the last one of a usual volume that is over by the last day of the data.

    That of the last day where none is over. Raises DataError `no_times`, UsageError `week_outside`.
    """
    span = data_span(days, today)
    known = days[~np.isnat(days)]
    if asked is not None:
        first, last = known.min().astype(object), known.max().astype(object)
        if asked.last < first or asked.first > last:
            raise UsageError(
                "week_outside",
                f"no comment is of {asked} ({asked.period}); the file's are of {first} … {last}, "
                f"{Week.of(first)} to {Week.of(last)}",
            )
        return asked
    first, last = span.period.first, span.period.last
    over = Week.of(last) if last.weekday() == 6 else Week(Week.of(last).first - timedelta(days=7))
    if over.last < first:
        return Week.of(last)
    sizes: dict[Week, int] = {}
    week = Week.of(first)
    while week <= over:
        sizes[week] = int(rows_of(known, week.period).sum())
        week = week.after()
    least = _SHARE_OF_USUAL * float(np.median([size for size in sizes.values() for _ in range(size)] or [0]))
    return next(week for week in reversed(sizes) if sizes[week] >= least)


def recent_part(table: FeedbackTable, week: Week) -> FeedbackTable:
    """The week and those that it is compared with: all whose texts are looked at."""
    return table.take(rows_of(table.days, Period(week.base.first, week.last)))
