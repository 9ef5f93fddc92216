"""pipeline/workdays.py: which days are worked on."""

from datetime import date, timedelta
from typing import Any

import chinese_calendar
import pytest

from pipeline.errors import ConfigError
from pipeline.workdays import Day, DayKind, Holidays, Workdays, day, holidays_from_dict, known_years

NONE = Holidays()


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (date(2026, 2, 13), Day(DayKind.WORKING)),
        (date(2026, 2, 14), Day(DayKind.WORKING, makes_up=True)),  # a Saturday before the Spring Festival
        (date(2026, 2, 17), Day(DayKind.HOLIDAY)),
        (date(2026, 2, 21), Day(DayKind.HOLIDAY)),  # a Saturday within it
        (date(2026, 3, 7), Day(DayKind.WEEKEND)),
        (date(2024, 2, 29), Day(DayKind.WORKING)),
        (date(2026, 12, 31), Day(DayKind.WORKING)),
    ],
)
def test_days_of_china(of: date, expected: Day) -> None:
    assert day(of, Workdays.CHINA, NONE) == expected


def test_it_agrees_with_the_library_on_every_day_that_it_knows() -> None:
    first, last = known_years()
    of = date(first, 1, 1)
    while of.year <= last:
        found = day(of, Workdays.CHINA, NONE)
        assert (found.kind is DayKind.WORKING) == chinese_calendar.is_workday(of), of
        assert found.known
        of += timedelta(days=1)


def test_years_that_nobody_knows_have_their_weekends_and_what_is_listed() -> None:
    _, last = known_years()
    monday = next(date(last + 1, 1, n) for n in range(1, 8) if date(last + 1, 1, n).weekday() == 0)
    saturday, sunday = monday + timedelta(days=5), monday + timedelta(days=6)
    assert day(monday, Workdays.CHINA, NONE) == Day(DayKind.WORKING, known=False)
    assert day(saturday, Workdays.CHINA, NONE) == Day(DayKind.WEEKEND, known=False)
    listed = Holidays(days=(monday,), working_days=(sunday,))
    assert day(monday, Workdays.CHINA, listed) == Day(DayKind.HOLIDAY)
    assert day(sunday, Workdays.CHINA, listed) == Day(DayKind.WORKING, makes_up=True)
    complete = Holidays(years=(last + 1,))
    assert day(monday, Workdays.CHINA, complete) == Day(DayKind.WORKING)
    assert not day(date(2003, 12, 31), Workdays.CHINA, NONE).known  # before the library begins


def test_ones_own_days_come_before_what_the_library_knows() -> None:
    listed = Holidays(days=(date(2026, 3, 4),), working_days=(date(2026, 10, 1),))
    assert day(date(2026, 3, 4), Workdays.CHINA, listed).kind is DayKind.HOLIDAY
    assert day(date(2026, 10, 1), Workdays.CHINA, listed) == Day(DayKind.WORKING)


def test_weekdays_know_no_public_holidays_and_every_day_none_at_all() -> None:
    assert day(date(2026, 10, 1), Workdays.WEEKDAYS, NONE) == Day(DayKind.WORKING)
    assert day(date(2026, 10, 3), Workdays.WEEKDAYS, NONE) == Day(DayKind.WEEKEND)
    listed = Holidays(days=(date(2026, 10, 1),))
    assert day(date(2026, 10, 1), Workdays.WEEKDAYS, listed) == Day(DayKind.HOLIDAY)
    assert day(date(2026, 10, 1), Workdays.EVERY_DAY, listed) == Day(DayKind.WORKING)
    assert day(date(2900, 10, 3), Workdays.EVERY_DAY, NONE) == Day(DayKind.WORKING)


def test_holidays_are_days_and_ranges() -> None:
    found = holidays_from_dict(
        {"days": [date(2027, 1, 1), "2027-02-27..2027-03-01"], "working_days": ["2028-02-29"], "years": [2027]}, "[h]"
    )
    assert [one.isoformat() for one in found.days] == ["2027-01-01", "2027-02-27", "2027-02-28", "2027-03-01"]
    assert found.working_days == (date(2028, 2, 29),)
    assert found.years == (2027,)


WANTED = "expected a day such as 2027-01-01, or '2027-02-06..2027-02-12' (at most a year)"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"day": []}, "[h]: unknown key 'day'; known: days, working_days, years"),
        ({"days": "2027-01-01"}, "[h] days: expected a list of days such as 2027-01-01; found '2027-01-01'"),
        ({"days": ["2027-02-29"]}, f"[h] days: {WANTED}; found '2027-02-29'"),
        ({"days": [3]}, f"[h] days: {WANTED}; found 3"),
        ({"days": ["2027-02-03..2027-02-01"]}, f"[h] days: {WANTED}; found '2027-02-03..2027-02-01'"),
        ({"days": ["2027-01-01..2029-01-01"]}, f"[h] days: {WANTED}; found '2027-01-01..2029-01-01'"),
        (
            {"days": ["2027-01-01"], "working_days": ["2027-01-01"]},
            "[h]: 2027-01-01 stands in days and in working_days; keep one of them",
        ),
        ({"years": [True]}, "[h] years: expected a list of years such as [2027]; found [True]"),
    ],
)
def test_mistakes_are_told(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        holidays_from_dict(body, "[h]")
    assert (raised.value.code, raised.value.message) == ("routing_invalid", f"routing: {message}")
