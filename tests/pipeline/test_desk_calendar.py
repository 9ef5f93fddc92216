"""pipeline/desk_calendar.py: due times in the working time of a desk."""

import pickle
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.desk_calendar import WEEK, DeskCalendar, Due, calendar_from_dict
from pipeline.errors import ConfigError
from pipeline.workdays import Holidays, known_years

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
MINUTE = 60_000_000
TEN_YEARS = 520  # weeks
HOUR = 60 * MINUTE
OFFICE = ["09:00-12:00", "13:30-18:00"]


def calendar(zone: tzinfo = SHANGHAI, *, holidays: Holidays | None = None, **body: Any) -> DeskCalendar:
    body = {"hours": OFFICE, **body}
    return calendar_from_dict(
        "desk", body, zone=zone, holidays=holidays or Holidays(), timezone=lambda name, where: ZoneInfo(name)
    )


def moment(time: datetime) -> int:
    return (time.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def clock(desk: DeskCalendar, at: int) -> str:
    return (EPOCH + timedelta(microseconds=at)).astimezone(desk.timezone).strftime("%Y-%m-%d %H:%M")


def due(desk: DeskCalendar, start: str, minutes: int) -> tuple[str, bool]:
    begins = datetime.fromisoformat(start).replace(tzinfo=desk.timezone)
    found = desk.due(moment(begins), minutes * MINUTE)
    return clock(desk, found.at), found.estimated


@pytest.mark.parametrize(
    ("start", "minutes", "expected"),
    [
        ("2026-03-04 09:00", 60, "2026-03-04 10:00"),
        ("2026-03-04 08:00", 60, "2026-03-04 10:00"),  # before it opens
        ("2026-03-04 11:30", 60, "2026-03-04 14:00"),  # over lunch
        ("2026-03-04 11:00", 60, "2026-03-04 12:00"),  # up to the border, not to the next opening
        ("2026-03-04 12:00", 60, "2026-03-04 14:30"),
        ("2026-03-04 12:30", 1, "2026-03-04 13:31"),
        ("2026-03-04 18:00", 60, "2026-03-05 10:00"),
        ("2026-03-06 17:30", 60, "2026-03-09 09:30"),  # a Friday
        ("2026-03-04 09:00", 3 * 450, "2026-03-06 18:00"),  # three whole days
        ("2026-03-04 09:00", 3 * 450 + 1, "2026-03-09 09:01"),
        ("2026-02-13 17:30", 60, "2026-02-14 09:30"),  # the Saturday makes up for the Spring Festival
        ("2026-02-14 17:30", 60, "2026-02-24 09:30"),  # and then it is closed for nine days
        ("2026-09-30 17:00", 240, "2026-10-08 12:00"),
        ("2024-02-28 17:30", 60, "2024-02-29 09:30"),
        ("2024-02-29 17:30", 60, "2024-03-01 09:30"),
        ("2023-02-28 17:30", 60, "2023-03-01 09:30"),
        ("2025-12-31 17:30", 60, "2026-01-04 09:30"),  # over a year's end that is known: the Sunday makes up
    ],
)
def test_times_count_while_the_desk_works(start: str, minutes: int, expected: str) -> None:
    assert due(calendar(), start, minutes) == (expected, False)


def test_beyond_the_known_years_a_due_time_is_an_estimate() -> None:
    _, last = known_years()
    desk = calendar()
    at, estimated = due(desk, f"{last}-12-31 16:00", 60)
    assert (at, estimated) == (f"{last}-12-31 17:00", False)
    at, estimated = due(desk, f"{last}-12-31 17:30", 60)
    assert estimated
    assert at.startswith(f"{last + 1}-01-0")
    # Days that are listed and a year that is listed completely are known.
    new_year = Holidays(days=tuple(date(last + 1, 1, n) for n in range(1, 8)), years=(last + 1,))
    at, estimated = due(calendar(holidays=new_year), f"{last}-12-31 17:30", 60)
    assert not estimated
    assert at >= f"{last + 1}-01-08"


def test_a_new_year_that_is_not_known_is_passed_over_where_it_is_listed() -> None:
    _, last = known_years()
    off = Holidays(days=tuple(date(last + 1, 1, n) for n in range(1, 11)))
    at, estimated = due(calendar(holidays=off), f"{last}-12-31 17:30", 60)
    assert at >= f"{last + 1}-01-11"
    assert estimated


def test_days_of_the_week_and_holidays_may_have_hours_of_their_own() -> None:
    desk = calendar(days={"sat": ["10:00-16:00"], "fri": ["09:00-12:00"]}, holiday_hours=["10:00-11:00"])
    assert due(desk, "2026-03-06 11:30", 60) == ("2026-03-07 10:30", False)
    assert due(desk, "2026-03-07 15:30", 60) == ("2026-03-09 09:30", False)
    # A Saturday that makes up for a holiday has a working day's hours, and a holiday its own.
    assert desk.spans(date(2026, 2, 14)) == desk.hours
    assert due(desk, "2026-10-01 09:00", 90) == ("2026-10-02 10:30", False)


def test_a_day_may_go_to_midnight_and_begin_with_it() -> None:
    desk = calendar(workdays="every_day", hours=["22:00-24:00", "00:00-02:00"])
    assert due(desk, "2026-12-31 23:00", 120) == ("2027-01-01 01:00", False)
    assert due(desk, "2026-12-31 23:00", 60) == ("2027-01-01 00:00", False)
    assert due(desk, "2024-02-28 23:30", 60) == ("2024-02-29 00:30", False)
    whole = calendar(workdays="every_day", hours=["00:00-24:00"])
    assert due(whole, "2026-12-31 23:59", 7 * 24 * 60) == ("2027-01-07 23:59", False)


NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("zone", "day", "hours", "worked"),
    [
        (NEW_YORK, date(2026, 3, 8), ["00:00-24:00"], 23 * 60),
        (NEW_YORK, date(2026, 11, 1), ["00:00-24:00"], 25 * 60),
        (NEW_YORK, date(2026, 3, 8), ["01:30-03:30"], 60),
        (NEW_YORK, date(2026, 3, 8), ["02:00-03:00"], 0),  # an hour that does not exist
        (NEW_YORK, date(2026, 3, 8), ["02:15-02:45", "03:00-04:00"], 60),
        (NEW_YORK, date(2026, 3, 8), ["01:00-02:30", "02:30-04:00"], 120),
        (NEW_YORK, date(2026, 11, 1), ["00:30-01:30", "01:30-03:00"], 210),  # an hour that comes twice
        (ZoneInfo("Australia/Lord_Howe"), date(2026, 10, 4), ["00:00-24:00"], 23 * 60 + 30),
        (ZoneInfo("Asia/Beirut"), date(2026, 3, 29), ["00:00-24:00"], 23 * 60),  # midnight itself is skipped
        (ZoneInfo("Pacific/Apia"), date(2011, 12, 30), ["00:00-24:00"], 0),  # the whole day is
        (SHANGHAI, date(2026, 3, 8), ["00:00-24:00"], 24 * 60),
        (timezone(timedelta(hours=-9, minutes=-30)), date(2026, 3, 8), ["00:00-24:00"], 24 * 60),
    ],
)
def test_days_with_a_change_of_the_clock(zone: tzinfo, day: date, hours: list[str], worked: int) -> None:
    desk = calendar(zone, workdays="every_day", hours=hours)
    midnight, next_midnight = (desk._moment(day + timedelta(days=number), 0) for number in (0, 1))
    assert desk.working(midnight, next_midnight) == worked * MINUTE
    before, after = midnight - 24 * HOUR, next_midnight + 24 * HOUR
    rest = desk.working(before, midnight) + desk.working(next_midnight, after)
    assert desk.working(before, after) == worked * MINUTE + rest


def test_a_due_time_over_a_change_of_the_clock() -> None:
    desk = calendar(NEW_YORK, workdays="every_day", hours=["00:00-24:00"])
    assert due(desk, "2026-03-07 20:00", 8 * 60) == ("2026-03-08 05:00", False)
    assert due(desk, "2026-10-31 20:00", 8 * 60) == ("2026-11-01 03:00", False)


SPANS = st.lists(st.integers(0, 24 * 12), min_size=2, max_size=8, unique=True).map(
    lambda ends: [
        f"{a // 12:02}:{a % 12 * 5:02}-{b // 12:02}:{b % 12 * 5:02}"
        for a, b in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)
    ]
)
ZONES = st.sampled_from(
    [SHANGHAI, NEW_YORK, UTC, ZoneInfo("Europe/London"), ZoneInfo("Asia/Beirut"), ZoneInfo("Australia/Lord_Howe")]
)
STARTS = st.datetimes(datetime(2003, 1, 1), datetime(2034, 1, 1)).map(lambda time: moment(time.replace(tzinfo=UTC)))
CALENDARS = st.builds(
    lambda zone, workdays, hours, sat: calendar(zone, workdays=workdays, hours=hours, days={"sat": sat}),
    ZONES,
    st.sampled_from(["china", "weekdays", "every_day"]),
    SPANS,
    SPANS,
)


@given(CALENDARS, STARTS, st.integers(1, 60 * 24 * 30).map(lambda minutes: minutes * MINUTE + 7))
def test_the_working_time_up_to_a_due_time_is_the_time_to_respond(desk: DeskCalendar, start: int, within: int) -> None:
    assume(within <= TEN_YEARS * desk.weekly_minutes() * MINUTE)  # a policy with less working time is refused
    found = desk.due(start, within)
    assert desk.working(start, found.at) == within
    assert desk.working(start, found.at - 1) == within - 1  # and no moment before had it
    assert found.at >= start + within


@given(CALENDARS, STARTS, st.integers(1, 10**12), st.integers(0, 10**11), st.integers(1, 10**11))
def test_due_times_keep_the_order(desk: DeskCalendar, start: int, within: int, later: int, longer: int) -> None:
    assume(within + longer <= TEN_YEARS * desk.weekly_minutes() * MINUTE)
    assert desk.due(start + later, within).at >= desk.due(start, within).at
    assert desk.due(start, within + longer).at > desk.due(start, within).at


@given(CALENDARS, STARTS)
def test_a_desk_works_from_when_it_opens(desk: DeskCalendar, start: int) -> None:
    opens = desk.opens(start)
    assert opens >= start
    assert desk.working(start, opens) == 0
    assert desk.due(opens, 1) == Due(opens + 1, desk.due(opens, 1).estimated)


@given(STARTS, st.integers(1, 10**12))
def test_a_desk_that_never_closes_counts_as_the_clock(start: int, within: int) -> None:
    desk = calendar(NEW_YORK, workdays="every_day", hours=["00:00-24:00"])
    assert desk.due(start, within) == Due(start + within, estimated=False)


def test_what_is_remembered_does_not_travel_or_compare() -> None:
    desk = calendar()
    before = repr(desk)
    due(desk, "2026-03-04 09:00", 6000)
    assert repr(desk) == before
    assert desk == calendar()
    # A policy goes to worker processes pickled: what arrives answers as well, without what was remembered.
    assert due(pickle.loads(pickle.dumps(desk)), "2026-03-04 09:00", 60) == ("2026-03-04 10:00", False)


def test_the_last_days_that_there_are() -> None:
    desk = calendar(UTC, workdays="every_day", hours=["09:00-10:00"])
    found = desk.due(moment(datetime(9999, 12, 30, tzinfo=UTC)), 10**12)
    assert found.estimated


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK])
@pytest.mark.parametrize("start", [datetime.min, datetime.max])
def test_the_first_and_the_last_moment(zone: tzinfo, start: datetime) -> None:
    found = calendar(zone).due(moment(start.replace(tzinfo=UTC)), HOUR)
    assert found.at >= moment(start.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x", ": expected a table; found str"),
        ({"hour": []}, ": unknown key 'hour'; known: days, holiday_hours, hours, timezone, workdays"),
        ({"workdays": "cn"}, " workdays: expected one of china, weekdays, every_day; found 'cn'"),
        (
            {"hours": "09:00-12:00"},
            " hours: expected a list such as ['09:00-12:00', '13:30-18:00']; found '09:00-12:00'",
        ),
        ({"hours": ["9-12"]}, " hours: expected hours such as '09:00-12:00', up to 24:00; found '9-12'"),
        ({"hours": [9]}, " hours: expected hours such as '09:00-12:00', up to 24:00; found 9"),
        ({"hours": ["09:00-24:01"]}, " hours: a day ends at 24:00; found '09:00-24:01'"),
        ({"hours": ["09:00-25:00"]}, " hours: expected hours such as '09:00-12:00', up to 24:00; found '09:00-25:00'"),
        (
            {"hours": ["22:00-06:00"]},
            " hours: hours end after they begin; found '22:00-06:00'; what goes on past midnight is two, such as "
            "'22:00-24:00' and '00:00-06:00'",
        ),
        (
            {"hours": ["09:00-09:00"]},
            " hours: hours end after they begin; found '09:00-09:00'; what goes on past midnight is two, such as "
            "'22:00-24:00' and '00:00-06:00'",
        ),
        (
            {"hours": ["13:00-18:00", "09:00-13:01"]},
            " hours: 09:00-13:01 and 13:00-18:00 overlap; make one of them, or let the second begin later",
        ),
        ({"days": {"sa": []}}, f" days: unknown key 'sa'; known: {', '.join(sorted(WEEK))}"),
        ({"days": []}, " days: expected a table such as {sat = ['10:00-16:00']}; found []"),
        (
            {"hours": [], "holiday_hours": ["09:00-10:00"]},
            ": no hours in any week, so that nothing would ever be due; give hours = ['09:00-18:00']",
        ),
    ],
)
def test_mistakes_are_told(body: Any, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        calendar_from_dict("a", body, zone=UTC, holidays=Holidays(), timezone=lambda name, where: UTC)
    assert (raised.value.code, raised.value.message) == ("routing_invalid", f"routing: [calendars.a]{message}")
