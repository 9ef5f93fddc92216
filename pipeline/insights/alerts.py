"""Alert rules evaluated on a table, day by day; every alert carries its causes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from pipeline.errors import DataError, UsageError
from pipeline.insights.alert_rules import AlertRule, Metric
from pipeline.insights.base_line import BaseLine
from pipeline.insights.bursts import RATE, least_windows
from pipeline.insights.causes import Causes, find_causes
from pipeline.insights.dependencies import determined_by
from pipeline.insights.incidents import Incident, find_incidents, find_slow_incidents
from pipeline.insights.quotes import examples
from pipeline.insights.seasons import LEAST_DAYS, DailyCounts, daily_counts
from pipeline.insights.selection import selected
from pipeline.insights.series import Membership
from pipeline.insights.table import FeedbackTable, Ints, Mask
from pipeline.insights.trends import Period, rows_of

_REST_DAYS = 28


@dataclass(frozen=True, eq=False)
class Alert:
    """A rule that fired. `value` as the rule's metric says; `rows`: the comments that it is about."""

    rule: str
    day: date  # last day of the window
    value: float
    expected: float | None  # of the base line, where the rule has one
    rows: Ints
    causes: Causes
    signs: tuple[str, ...] = ()

    def to_dict(self, table: FeedbackTable) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "day": str(self.day),
            "value": round(self.value, 4),
            "expected": None if self.expected is None else round(self.expected, 2),
            "messages": len(self.rows),
            "signs": list(self.signs),
            "causes": self.causes.to_dict(),
            "examples": examples(table, self.rows),
            "ids": [table.ids[i] for i in self.rows],
        }


def find_alerts(
    table: FeedbackTable,
    members: Membership,
    rules: Sequence[AlertRule],
    *,
    first: date | None = None,
    last: date | None = None,
) -> list[Alert]:
    """Alerts of the days from `first` to `last` (by default the table's last day alone), in order of time.

    A day with too little history before it raises none of the rules with a base line. Raises DataError `no_times`,
    UsageError `filter_unknown`.
    """
    all_days = daily_counts(table.days)
    end = last or all_days.days()[-1]
    begin = first or end
    if begin > end:
        raise UsageError("days_invalid", f"the first day must not be after the last; found {begin} and {end}")
    days = Period(begin, end).days()
    found: list[Alert] = []
    for rule in rules:
        if rule.metric is Metric.INCIDENT:
            found += _incident_alerts(table, members, rule, days)
        else:
            found += _threshold_alerts(table, members, rule, days, all_days)
    return sorted(found, key=lambda alert: alert.day)


def fitting(table: FeedbackTable, rules: Sequence[AlertRule]) -> tuple[list[AlertRule], dict[str, str]]:
    """Rules that can be evaluated on a table, and of the others name -> what the table lacks."""
    usable, lacking = [], {}
    for rule in rules:
        try:
            selected(table, rule.filters, lenient=True)
            usable.append(rule)
        except UsageError as error:
            lacking[rule.name] = error.message
    return usable, lacking


def too_early(table: FeedbackTable, rules: Sequence[AlertRule], *, last: date | None = None) -> dict[str, str]:
    """Rules with a base line that no day up to the last one is late enough for -> how many days there are.

    Raises DataError `no_times`.
    """
    days = daily_counts(table.days)
    end = last or days.days()[-1]
    found = {}
    for rule in rules:
        before = max((end - days.first).days - rule.days + 1, 0)
        least = least_windows(rule.days) * rule.days if rule.metric is Metric.INCIDENT else LEAST_DAYS
        if (rule.chance is not None or rule.metric is Metric.INCIDENT) and before < least:
            window = f"{end}" if rule.days == 1 else f"the {rule.days} days up to {end}"
            found[rule.name] = f"its base line takes {least} days before {window}; there are {before}"
    return found


def _incident_alerts(table: FeedbackTable, members: Membership, rule: AlertRule, days: Sequence[date]) -> list[Alert]:
    found: list[Alert] = []
    quiet: dict[str, date] = {}
    # Windows end on the last day and lie side by side, as those of the other rules.
    for day in days[(len(days) - 1) % rule.days :: rule.days]:
        try:
            incidents = _incidents(table, members, rule, day)
        except DataError:  # too few days before
            continue
        for incident in incidents:
            names = signature(incident)
            silent = any(day <= quiet[name] for name in names if name in quiet)
            quiet |= dict.fromkeys(names, day + timedelta(days=rule.cool_down))
            if not silent and len(incident.rows) >= rule.least:
                expected = incident.bursts[0].expected  # of the surest sign: in all, the incident's comments have none
                value = float(len(incident.rows))
                found.append(Alert(rule.name, day, value, expected, incident.rows, incident.causes, names))
    return found


def _incidents(table: FeedbackTable, members: Membership, rule: AlertRule, day: date) -> list[Incident]:
    rate = rule.chance or RATE
    if rule.days == 1:
        return find_incidents(table, members, day, rate=rate)
    return find_slow_incidents(table, members, day, days=rule.days, rate=rate)


def signature(incident: Incident) -> tuple[str, ...]:
    """What an incident is known by on the next day: its surest signs and where it comes from."""
    names = dict.fromkeys(burst.series.name for burst in incident.bursts[:5])
    if incident.causes.where:
        names[incident.causes.where[0].series.name] = None
    return tuple(names)


def _threshold_alerts(
    table: FeedbackTable, members: Membership, rule: AlertRule, days: Sequence[date], all_days: DailyCounts
) -> list[Alert]:
    watch = _Watch(table, rule, all_days)
    found: list[Alert] = []
    quiet_until = date.min
    in_row = 0
    # Windows end on the last day and lie side by side, so that three bad ones in a row share no comment.
    windows = (days[-1] - days[0]).days // rule.days + rule.windows
    for back in range(windows - 1, -1, -1):
        day = days[-1] - timedelta(days=back * rule.days)
        window = watch.window(day)
        in_row = in_row + 1 if window.fires else 0
        if in_row >= rule.windows and day >= days[0] and day > quiet_until:
            quiet_until = day + timedelta(days=rule.cool_down)
            found.append(watch.alert(members, day, window))
    return found


@dataclass(frozen=True, slots=True)
class _Window:
    value: float
    expected: float | None = None
    fires: bool = False


class _Watch:
    """A rule with a threshold or a base line, on a table."""

    def __init__(self, table: FeedbackTable, rule: AlertRule, all_days: DailyCounts) -> None:
        self._table = table
        self._rule = rule
        self._rows = selected(table, rule.filters, lenient=True)
        self._all_days = all_days
        self._base = BaseLine(daily_counts(table.days, self._rows), all_days, share=rule.metric is Metric.SHARE)

    def window(self, day: date) -> _Window:
        """The window that ends with a day."""
        rule = self._rule
        window = _within(self._table, day, rule.days)
        held = window & self._rows
        value = _value(self._table, rule.metric, held, window)
        looked_at = window if rule.metric in (Metric.COUNT, Metric.SHARE) and rule.below is not None else held
        if looked_at.sum() < rule.least or not np.isfinite(value):
            return _Window(value)
        if rule.chance is not None:
            expected, p_value = self._base.against(day, rule.days)
            if expected is not None and rule.metric is Metric.SHARE:
                expected /= max(float(window.sum()), 1.0)
            return _Window(value, expected, p_value is not None and p_value <= rule.chance)
        above = rule.above is not None and value > rule.above
        below = rule.below is not None and value < rule.below
        return _Window(value, None, above or below)

    def alert(self, members: Membership, day: date, window: _Window) -> Alert:
        """With its causes: against the same kind of comments on quiet days before, where there are enough.

        Where these show no place, or there are too few, against all other comments: what came before the first day
        that stood out may be of the same incident, such as one that grew slowly from nothing.
        """
        table, rule = self._table, self._rule
        target = np.flatnonzero(_within(table, day, rule.days * rule.windows) & self._rows)
        before = _within(table, day, _REST_DAYS)
        others = np.setdiff1d(np.flatnonzero(before & ~self._rows), target)
        alike = np.setdiff1d(np.flatnonzero(before & self._rows & ~self._on_outbreaks(day)), target)
        names = (*rule.filters, *determined_by(table, tuple(rule.filters)))
        if len(alike) < len(target):
            causes = find_causes(members, target, np.union1d(alike, others), without=names)
            return Alert(rule.name, day, window.value, window.expected, target, causes)
        causes = find_causes(members, target, alike, without=names)
        if not causes.where:
            # Not what is said: against other comments that is what the filter chose by.
            causes = Causes(find_causes(members, target, others, without=names).where, causes.what)
        return Alert(rule.name, day, window.value, window.expected, target, causes)

    def _on_outbreaks(self, day: date) -> Mask:
        """(n,) rows of earlier days on which there were far more of the filter's comments than usual."""
        first = np.datetime64(self._all_days.first)
        return np.isin(self._table.days, first + np.flatnonzero(self._base.outbreaks(day)))


def _value(table: FeedbackTable, metric: Metric, held: Mask, window: Mask) -> float:
    """NaN where there is nothing to measure."""
    if metric is Metric.COUNT:
        return float(held.sum())
    if metric is Metric.SHARE:
        return float(held.sum() / max(window.sum(), 1))
    if not held.any():
        return float("nan")
    if metric is Metric.SATISFACTION:
        given = table.numbers.get("satisfaction", np.full(len(table), np.nan, dtype=np.float32))[held]
        return float(np.nanmean(given)) if np.isfinite(given).any() else float("nan")
    return float((table.negative if metric is Metric.NEGATIVE_SHARE else table.urgent)[held].mean())


def _within(table: FeedbackTable, day: date, days: int) -> Mask:
    return rows_of(table.days, Period(day - timedelta(days=days - 1), day))
