"""Which days are worked on: weekdays, the public holidays of China with the days that make up for them, one's own.

China's State Council tells each year's holidays near the end of the year before, so the library that knows them
(chinesecalendar) ends with the present year. Beyond it, weekends count and what `[holidays]` of the policy lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from pipeline.config_file import unknown_key
from pipeline.errors import ConfigError

_SATURDAY = 5
_LONGEST = 366  # days of one range


class Workdays(StrEnum):
    """How a calendar tells its working days."""

    CHINA = "china"  # Monday to Friday but public holidays, and the weekends that make up for them (调休)
    WEEKDAYS = "weekdays"  # Monday to Friday
    EVERY_DAY = "every_day"


class DayKind(StrEnum):
    """What a day is to a desk."""

    WORKING = "working"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class Holidays:
    """Days off and on that the policy lists; they come before what the library knows."""

    days: tuple[date, ...] = ()
    working_days: tuple[date, ...] = ()
    years: tuple[int, ...] = ()  # listed completely, so that nothing about them is a guess


@dataclass(frozen=True, slots=True)
class Day:
    """A day's kind, and whether that is known or only what a week usually has."""

    kind: DayKind
    known: bool = True
    makes_up: bool = False  # a weekend that is worked on


def day(of: date, workdays: Workdays, holidays: Holidays) -> Day:
    """What a day is. Pure; 20 µs where the library is asked, so that callers keep the answer."""
    weekend = of.weekday() >= _SATURDAY
    if workdays is Workdays.EVERY_DAY:
        return Day(DayKind.WORKING)
    if of in holidays.working_days:
        return Day(DayKind.WORKING, makes_up=weekend)
    if of in holidays.days:
        return Day(DayKind.HOLIDAY)
    usual = Day(DayKind.WEEKEND if weekend else DayKind.WORKING)
    return usual if workdays is Workdays.WEEKDAYS else _in_china(of, usual, holidays)


def _in_china(of: date, usual: Day, holidays: Holidays) -> Day:
    import chinese_calendar  # read only where a policy has such a calendar

    try:
        off, name = chinese_calendar.get_holiday_detail(of)
    except NotImplementedError:  # a year that the library does not know
        return Day(usual.kind, known=of.year in holidays.years)
    if off:
        return Day(DayKind.HOLIDAY if name else DayKind.WEEKEND)
    return Day(DayKind.WORKING, makes_up=usual.kind is DayKind.WEEKEND)


def known_years() -> tuple[int, int]:
    """First and last year whose public holidays the installed library knows."""
    import chinese_calendar

    years = [found.year for found in chinese_calendar.constants.holidays]
    return min(years), max(years)


def holidays_from_dict(body: Mapping[str, Any], where: str) -> Holidays:
    """From the table [holidays]. Raises ConfigError `routing_invalid` with the place of the mistake."""
    if wrong := unknown_key(body, {"days", "working_days", "years"}, where):
        raise _invalid(wrong)
    years = body.get("years", [])
    if not isinstance(years, list) or not all(type(year) is int and 1 <= year < 9999 for year in years):
        raise _invalid(f"{where} years: expected a list of years such as [2027]; found {years!r}")
    days, working = (_days(body.get(name, []), f"{where} {name}") for name in ("days", "working_days"))
    both = sorted(set(days) & set(working))
    if both:
        raise _invalid(f"{where}: {both[0]} stands in days and in working_days; keep one of them")
    return Holidays(days, working, tuple(years))


def _days(value: Any, where: str) -> tuple[date, ...]:
    if not isinstance(value, list):
        raise _invalid(f"{where}: expected a list of days such as 2027-01-01; found {value!r}")
    found = [single for entry in value for single in _range(entry, where)]
    return tuple(sorted(set(found)))


def _range(entry: Any, where: str) -> list[date]:
    """One day, or the days from the first to the last of `2027-02-06..2027-02-12`."""
    if type(entry) is date:
        return [entry]
    try:
        first, _, last = entry.partition("..")
        start = date.fromisoformat(first.strip())
        count = (date.fromisoformat(last.strip()) - start).days + 1 if last else 1
        if not 0 < count <= _LONGEST:
            raise ValueError
        return [date.fromordinal(start.toordinal() + i) for i in range(count)]
    except (AttributeError, ValueError):
        wanted = "a day such as 2027-01-01, or '2027-02-06..2027-02-12' (at most a year)"
        raise _invalid(f"{where}: expected {wanted}; found {entry!r}") from None


def _invalid(message: str) -> ConfigError:
    return ConfigError("routing_invalid", f"routing: {message}")
