"""What the pictures of a report show: how comments fell by day, what is to be expected, and which alerts fired."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.insights.alert_rules import AlertRule
from pipeline.insights.alerts import find_alerts, fitting
from pipeline.insights.forecasts import DayAhead, forecast
from pipeline.insights.report.week import Week
from pipeline.insights.seasons import daily_counts
from pipeline.insights.series import Membership, Series
from pipeline.insights.table import MISSING, FeedbackTable
from pipeline.insights.trends import Period, rows_of

_AHEAD = 14  # days
_ALERTS = 10


@dataclass(frozen=True, slots=True)
class Daily:
    """Comments a day by label, the most frequent label first. `counts`: (labels, days)."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired in the week. `cause`: what stands out most, None where nothing does."""

    rule: str
    day: date
    messages: int
    value: float
    expected: float | None
    cause: Series | None


@dataclass(frozen=True, eq=False)
class Pictures:
    """`days`: of the weeks compared with and the week itself, from the first with data on. Tasks that the file lacks
    have no `daily`. `totals`: comments a day; `ahead`: of the days after the week, none where history is too short.
    """

    days: tuple[date, ...]
    totals: tuple[int, ...]
    daily: dict[str, Daily]
    ahead: tuple[DayAhead, ...]
    alerts: tuple[Fired, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "days": [str(day) for day in self.days],
            "messages": list(self.totals),
            "daily": {
                task: dict(zip(found.labels, map(list, found.counts), strict=True))
                for task, found in self.daily.items()
            },
            "forecast": [
                {name: str(value) if name == "day" else round(value, 2) for name, value in asdict(day).items()}
                for day in self.ahead
            ],
            "alerts": [
                {
                    "rule": fired.rule,
                    "day": str(fired.day),
                    "messages": fired.messages,
                    "value": round(fired.value, 4),
                    "expected": None if fired.expected is None else round(fired.expected, 2),
                    "cause": None if fired.cause is None else fired.cause.name,
                }
                for fired in self.alerts
            ],
        }


def find_pictures(
    table: FeedbackTable,
    recent: FeedbackTable,
    members: Membership,
    week: Week,
    *,
    first: date,
    rules: Sequence[AlertRule],
) -> Pictures:
    """`recent`: `recent_part` of the table and `members` its series; `first`: the data's first day."""
    days = tuple(Period(max(week.base.first, first), week.last).days())
    at = _places(recent, days)
    kept = at != MISSING
    daily = {}
    for task in ("sentiment", "urgency", "category"):
        if task in recent.labels:
            column = recent.labels[task]
            counts = np.zeros((len(column.values), len(days)), dtype=np.int64)
            told = kept & (column.codes != MISSING)
            np.add.at(counts, (column.codes[told], at[told]), 1)
            order = [int(i) for i in np.argsort(-counts.sum(axis=1), kind="stable") if counts[i].any()]
            daily[task] = Daily(tuple(column.values[i] for i in order), tuple(tuple(counts[i].tolist()) for i in order))
    totals = np.bincount(at[kept], minlength=len(days))
    return Pictures(
        days=days,
        totals=tuple(totals.tolist()),
        daily=daily,
        ahead=_ahead(table, week, first),
        alerts=_alerts(recent, members, rules, week),
    )


def _places(table: FeedbackTable, days: Sequence[date]) -> Any:
    """(n,) each row's place among the days, MISSING where it is of none."""
    offset = (table.days - np.datetime64(days[0])).astype("timedelta64[D]")
    known = ~np.isnat(table.days)
    at = np.where(known, offset.astype(np.int64), MISSING)
    return np.where((at >= 0) & (at < len(days)), at, MISSING)


def _ahead(table: FeedbackTable, week: Week, first: date) -> tuple[DayAhead, ...]:
    past = table.days[rows_of(table.days, Period(first, week.last))]
    try:
        return forecast(daily_counts(past), ahead=_AHEAD).days
    except DataError:
        return ()


def _alerts(recent: FeedbackTable, members: Membership, rules: Sequence[AlertRule], week: Week) -> tuple[Fired, ...]:
    usable, _ = fitting(recent, rules)
    if not usable or not len(recent.known_days):
        return ()
    found = find_alerts(recent, members, usable, first=week.first, last=week.last)
    return tuple(
        Fired(
            rule=alert.rule,
            day=alert.day,
            messages=len(alert.rows),
            value=alert.value,
            expected=alert.expected,
            cause=None if alert.causes.first is None else alert.causes.first.series,
        )
        for alert in found[-_ALERTS:]
    )
