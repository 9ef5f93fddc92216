"""When a desk works, and where a time to respond ends that runs only then. Pure but for what it remembers of days.

All arithmetic is in UTC: two times of one zone are compared and added to by their clocks, which daylight saving puts
back. A clock time that a change skips is the moment of the change; of one that comes twice the first counts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import Any

from pipeline.config_file import unknown_key
from pipeline.errors import ConfigError
from pipeline.workdays import DayKind, Holidays, Workdays
from pipeline.workdays import day as day_of

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MICROSECOND = timedelta(microseconds=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MINUTES = 24 * 60
_SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)\s*-\s*([01]\d|2[0-4]):([0-5]\d)")
_MOST_DAYS = 20 * 366
"""No due time is looked for beyond: so many days hold any whose policy was accepted."""

_KEPT_DAYS = 4096
_FIRST, _LAST = date.min + timedelta(days=1), date.max - timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of a day's clock, from `start` up to, but not including, `end`; 24:00 is 1440."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.start // 60:02}:{self.start % 60:02}-{self.end // 60:02}:{self.end % 60:02}"


@dataclass(frozen=True, slots=True)
class Due:
    """Where a time to respond ends; `estimated` where a day on the way is of a year with unknown holidays."""

    at: int  # microseconds since 1970
    estimated: bool


@dataclass(frozen=True)
class DeskCalendar:
    """One [calendars.NAME] of a policy."""

    name: str
    timezone: tzinfo
    workdays: Workdays
    hours: tuple[Span, ...]  # of a working day
    days: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)  # mon … sun -> instead; of sat and sun else none
    holiday_hours: tuple[Span, ...] = ()
    holidays: Holidays = field(default_factory=Holidays)
    _kept: dict[date, tuple[tuple[tuple[int, int], ...], bool]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def due(self, start: int, within: int) -> Due:
        """Where `within` microseconds of working time from `start` end. 2 µs within a day that is known already."""
        left, estimated, end = within, False, start
        for spans, known in self._days_from(start):
            estimated = estimated or not known
            for opens, closes in spans:
                begin = max(opens, start)
                if closes <= begin:
                    continue
                if left <= closes - begin:
                    return Due(begin + left, estimated)
                left -= closes - begin
                end = closes
        return Due(end + left, True)  # a policy is refused before it comes to this

    def opens(self, moment: int) -> int:
        """The first moment from this one on at which the desk works."""
        for spans, _ in self._days_from(moment):
            for opens, closes in spans:
                if closes > moment:
                    return max(opens, moment)
        return moment  # never, for twenty years

    def working(self, start: int, end: int) -> int:
        """Microseconds of working time between two moments."""
        last = self._date(end)
        days = self._days_from(start, last=last)
        return sum(max(0, min(closes, end) - max(opens, start)) for spans, _ in days for opens, closes in spans)

    def weekly_minutes(self) -> int:
        """Working minutes of a week without holidays."""
        return sum(span.end - span.start for name in WEEK for span in self._usual(name))

    def _usual(self, weekday: str) -> tuple[Span, ...]:
        if weekday in self.days:
            return self.days[weekday]
        weekend = weekday in ("sat", "sun") and self.workdays is not Workdays.EVERY_DAY
        return () if weekend else self.hours

    def usual_hours(self, weekday: str) -> str:
        """Such as 09:00-12:00, 13:30-18:00; empty where the desk is closed."""
        return ", ".join(map(str, self._usual(weekday)))

    def spans(self, of: date) -> tuple[Span, ...]:
        """The desk's hours on a day, by its clock."""
        return self._hours(of)[0]

    def _hours(self, of: date) -> tuple[tuple[Span, ...], bool]:
        found = day_of(of, self.workdays, self.holidays)
        if found.kind is DayKind.HOLIDAY:
            return self.holiday_hours, found.known
        return (self.hours if found.makes_up else self._usual(WEEK[of.weekday()])), found.known

    def _days_from(self, start: int, *, last: date = date.max) -> Iterator[tuple[tuple[tuple[int, int], ...], bool]]:
        # A change of zone leads out of the calendar on its first and its last day.
        first = max(self._date(start), _FIRST).toordinal()
        for ordinal in range(first, min(first + _MOST_DAYS, min(last, _LAST).toordinal() + 1)):
            of = date.fromordinal(ordinal)
            found = self._kept.get(of)
            if found is None:
                if len(self._kept) >= _KEPT_DAYS:
                    self._kept.clear()
                spans, known = self._hours(of)
                found = self._kept[of] = self._moments(of, spans), known
            yield found

    def _date(self, moment: int) -> date:
        time = _EPOCH + moment * MICROSECOND
        try:
            return time.astimezone(self.timezone).date()
        except OverflowError:
            return time.date()

    def _moments(self, of: date, spans: tuple[Span, ...]) -> tuple[tuple[int, int], ...]:
        pairs = ((self._moment(of, span.start), self._moment(of, span.end)) for span in spans)
        return tuple((opens, closes) for opens, closes in pairs if opens < closes)

    def _moment(self, of: date, minutes: int) -> int:
        """Microseconds since 1970 of a clock time."""
        if minutes == _DAY_MINUTES:
            of, minutes = of + timedelta(days=1), 0
        clock = datetime.combine(of, time(minutes // 60, minutes % 60))
        early, late = sorted(clock.replace(tzinfo=self.timezone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if early != late and late.astimezone(self.timezone).replace(tzinfo=None) != clock:
            early = _change(early, late, self.timezone)  # the clock skips it
        return (early - _EPOCH) // MICROSECOND


def _change(early: datetime, late: datetime, zone: tzinfo) -> datetime:
    """The first moment after `early` that has the offset of `late`, to the second."""
    before = early.astimezone(zone).utcoffset()
    low, high = 0, round((late - early).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (early + timedelta(seconds=middle)).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return early + timedelta(seconds=high)


def calendar_from_dict(name: str, body: Any, *, zone: tzinfo, holidays: Holidays, timezone: Any) -> DeskCalendar:
    """From a table [calendars.NAME]; `zone` is the policy's, `timezone` reads another one's name.

    Raises ConfigError `routing_invalid` with the place of the mistake.
    """
    where = f"[calendars.{name}]"
    if not isinstance(body, Mapping):
        raise _invalid(f"{where}: expected a table; found {type(body).__name__}")
    if wrong := unknown_key(body, {"timezone", "workdays", "hours", "days", "holiday_hours"}, where):
        raise _invalid(wrong)
    kinds = [kind.value for kind in Workdays]
    workdays = body.get("workdays", Workdays.CHINA.value)
    if workdays not in kinds:
        raise _invalid(f"{where} workdays: expected one of {', '.join(kinds)}; found {workdays!r}")
    days = body.get("days", {})
    if not isinstance(days, Mapping):
        raise _invalid(f"{where} days: expected a table such as {{sat = ['10:00-16:00']}}; found {days!r}")
    if wrong := unknown_key(days, set(WEEK), f"{where} days"):
        raise _invalid(wrong)
    found = DeskCalendar(
        name=name,
        timezone=timezone(body["timezone"], f"{where} timezone") if "timezone" in body else zone,
        workdays=Workdays(workdays),
        hours=_spans(body.get("hours", []), f"{where} hours"),
        days={day: _spans(days[day], f"{where} days.{day}") for day in WEEK if day in days},
        holiday_hours=_spans(body.get("holiday_hours", []), f"{where} holiday_hours"),
        holidays=holidays,
    )
    if not found.weekly_minutes():
        raise _invalid(
            f"{where}: no hours in any week, so that nothing would ever be due; give hours = ['09:00-18:00']"
        )
    return found


def _spans(value: Any, where: str) -> tuple[Span, ...]:
    if not isinstance(value, list):
        raise _invalid(f"{where}: expected a list such as ['09:00-12:00', '13:30-18:00']; found {value!r}")
    spans = sorted((_span(entry, where) for entry in value), key=lambda span: span.start)
    for one, other in pairwise(spans):
        if other.start < one.end:
            raise _invalid(f"{where}: {one} and {other} overlap; make one of them, or let the second begin later")
    return tuple(spans)


def _span(entry: Any, where: str) -> Span:
    match = _SPAN.fullmatch(entry.strip()) if isinstance(entry, str) else None
    if match is None:
        raise _invalid(f"{where}: expected hours such as '09:00-12:00', up to 24:00; found {entry!r}")
    first, last = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
    if max(first, last) > _DAY_MINUTES:
        raise _invalid(f"{where}: a day ends at 24:00; found {entry!r}")
    if first >= last:
        raise _invalid(
            f"{where}: hours end after they begin; found {entry!r}; what goes on past midnight is two, "
            "such as '22:00-24:00' and '00:00-06:00'"
        )
    return Span(first, last)


def _invalid(message: str) -> ConfigError:
    return ConfigError("routing_invalid", f"routing: {message}")
