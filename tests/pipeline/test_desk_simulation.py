"""pipeline/desk_simulation.py: a desk that works off its tickets."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.desk_calendar import DeskCalendar, calendar_from_dict
from pipeline.desk_simulation import HOUR, Ticket, least_capacity, serve
from pipeline.workdays import Holidays

MINUTE = HOUR // 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def desk(*hours: str) -> DeskCalendar:
    body = {"hours": list(hours), "workdays": "every_day"}
    return calendar_from_dict("d", body, zone=UTC, holidays=Holidays(), timezone=lambda name, where: UTC)


def delays(tickets: list[Ticket], calendar: DeskCalendar | None, capacity: float) -> list[float]:
    return [delay / MINUTE for delay in serve(tickets, calendar, capacity=capacity)]


def test_what_is_due_first_is_done_first() -> None:
    start = at("2026-03-04 09:00")
    due = [60, 30, 10]  # minutes after they all came
    tickets = [Ticket(start, start + minutes * MINUTE, around_the_clock=True) for minutes in due]
    assert delays(tickets, None, 6) == [0, -10, -30]
    assert delays(tickets, None, 4) == [5, 0, -15]


def test_a_ticket_in_hand_is_finished_first() -> None:
    start = at("2026-03-04 09:00")
    first = Ticket(start, start + 600 * MINUTE, around_the_clock=True)
    pressing = Ticket(start + MINUTE, start + 10 * MINUTE, around_the_clock=True)
    assert delays([first, pressing], None, 2) == [-570, 50]


def test_the_desk_waits_until_it_opens_and_goes_on_after_lunch() -> None:
    calendar = desk("09:00-12:00", "13:00-18:00")
    early = at("2026-03-04 08:00")
    assert delays([Ticket(early, at("2026-03-04 10:00"), False)], calendar, 2) == [-30]
    late = at("2026-03-04 11:45")
    assert delays([Ticket(late, at("2026-03-04 13:15"), False)], calendar, 2) == [0]
    night = at("2026-03-04 17:50")
    assert delays([Ticket(night, at("2026-03-05 09:20"), False)], calendar, 2) == [0]


def test_what_runs_around_the_clock_is_done_at_night() -> None:
    calendar = desk("09:00-12:00")
    evening, night = at("2026-03-04 20:00"), at("2026-03-04 23:00")
    waits = Ticket(evening, at("2026-03-05 09:30"), around_the_clock=False)
    grave = Ticket(night, night + 30 * MINUTE, around_the_clock=True)
    assert delays([waits, grave], calendar, 4) == [-15, -15]
    # In the day the earlier due time counts, whoever runs around the clock.
    morning = at("2026-03-04 09:00")
    both = [
        Ticket(morning, morning + 20 * MINUTE, around_the_clock=False),
        Ticket(morning, morning + 30 * MINUTE, around_the_clock=True),
    ]
    assert delays(both, calendar, 4) == [-5, 0]


def test_the_least_capacity_without_a_breach() -> None:
    start = at("2026-03-04 09:00")
    tickets = [Ticket(start, start + 30 * MINUTE, around_the_clock=True) for _ in range(5)]
    assert least_capacity(tickets, None) == 10
    assert least_capacity([], None) == 0
    assert least_capacity([Ticket(start, start + 5 * HOUR, around_the_clock=True)], None) == 1


TICKETS = st.lists(
    st.tuples(st.integers(0, 3 * 24 * 60), st.integers(1, 600), st.booleans()), min_size=1, max_size=30
).map(
    lambda rows: sorted(
        Ticket(at("2026-03-04 00:00") + minute * MINUTE, at("2026-03-04 00:00") + (minute + within) * MINUTE, clock)
        for minute, within, clock in rows
    )
)


@given(TICKETS, st.integers(1, 50))
def test_every_ticket_is_done_once_and_none_before_its_time(tickets: list[Ticket], capacity: int) -> None:
    for calendar in (None, desk("09:00-12:00", "13:30-18:00")):
        found = list(serve(tickets, calendar, capacity=capacity))
        assert len(found) == len(tickets)
        takes = round(HOUR / capacity)
        # All work lies one after the other, so that the last cannot end before all of it is done.
        ends = sorted(delay for delay in found)
        assert ends[-1] >= min(ticket.arrived - ticket.due for ticket in tickets) + takes


@given(TICKETS)
def test_more_capacity_than_needed_has_no_breach(tickets: list[Ticket]) -> None:
    needed = least_capacity(tickets, None)
    assert all(delay <= 0 for delay in serve(tickets, None, capacity=needed))
    if needed > 1:
        assert any(delay > 0 for delay in serve(tickets, None, capacity=needed - 1))


@pytest.mark.parametrize("capacity", [0.25, 1e9])
def test_odd_capacities(capacity: float) -> None:
    start = at("2026-03-04 09:00")
    (delay,) = serve([Ticket(start, start + HOUR, around_the_clock=True)], None, capacity=capacity)
    assert delay == max(1, round(HOUR / capacity)) - HOUR
