"""A desk that works off its tickets: which are done after they were due.

The desk is one server that takes 1/capacity hours a ticket, the earliest due first, in its working time; what runs
around the clock is taken at night too, by whoever is on call, at the same rate. A ticket in hand is finished first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from pipeline.desk_calendar import DeskCalendar

HOUR = 3_600_000_000  # microseconds
_MOST = 1 << 24  # comments an hour; more than a desk can have


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """Times in microseconds since 1970."""

    arrived: int
    due: int
    around_the_clock: bool


def serve(tickets: Sequence[Ticket], calendar: DeskCalendar | None, *, capacity: float) -> Iterator[int]:
    """Microseconds by which every ticket is late, below zero where it is early; in the order in which they are done.

    `tickets` are in the order of their arrival; `capacity` is in tickets an hour.
    """
    takes = max(1, round(HOUR / capacity))
    day: list[tuple[int, int]] = []  # (due, number) of those that wait for the desk
    night: list[tuple[int, int]] = []
    now, coming = 0, 0
    while coming < len(tickets) or day or night:
        if not day and not night:
            now = max(now, tickets[coming].arrived)
        while coming < len(tickets) and tickets[coming].arrived <= now:
            ticket = tickets[coming]
            heappush(night if ticket.around_the_clock or calendar is None else day, (ticket.due, coming))
            coming += 1
        opens = now if calendar is None else calendar.opens(now)
        if opens > now and not night:
            # Closed: until it opens, or something comes that does not wait for that.
            now = min(opens, tickets[coming].arrived) if coming < len(tickets) else opens
            continue
        clock = bool(night) and (opens > now or not day or night[0] <= day[0])
        due, _ = heappop(night if clock else day)
        now = now + takes if clock or calendar is None else calendar.due(now, takes).at
        yield now - due


def least_capacity(tickets: Sequence[Ticket], calendar: DeskCalendar | None) -> int:
    """Least whole number of tickets an hour at which none is late; 0 where there are none."""
    if not tickets:
        return 0

    def enough(capacity: int) -> bool:
        return all(delay <= 0 for delay in serve(tickets, calendar, capacity=capacity))

    high = 1
    while not enough(high) and high < _MOST:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high
