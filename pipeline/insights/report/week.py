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


def choose_week(days: Days, asked: Week | None = None) -> Week:
    """The week asked for, else the last one that is over by the last day of the data, else that of the last day.

    Raises DataError `no_times`, UsageError `week_outside`.
    """
    known = days[~np.isnat(days)]
    if not len(known):
        raise DataError(
            "no_times", "no row has a time, so that there is no week to report on; give a column created_at"
        )
    first, last = known.min().astype(object), known.max().astype(object)
    if asked is not None:
        if asked.last < first or asked.first > last:
            raise UsageError(
                "week_outside",
                f"no comment is of {asked} ({asked.period}); the file's are of {first} … {last}, "
                f"{Week.of(first)} to {Week.of(last)}",
            )
        return asked
    over = Week.of(last) if last.weekday() == 6 else Week(Week.of(last).first - timedelta(days=7))
    return over if over.last >= first else Week.of(last)


def recent_part(table: FeedbackTable, week: Week) -> FeedbackTable:
    """The week and those that it is compared with: all whose texts are looked at."""
    return table.take(rows_of(table.days, Period(week.base.first, week.last)))
