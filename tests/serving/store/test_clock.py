"""Statuses, due times and the clock, with a clock of the test's own."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from serving.store import clock, events, leases, records, statuses
from serving.store.database import Database
from serving.store.records import NewFeedback
from serving.store.statuses import Change, Refused
from serving.store.tables import events as events_table
from tests.stored_comments import NOON

Make = Callable[..., NewFeedback]


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def keep(database: Database, *new: NewFeedback) -> None:
    for one in new:
        assert database.write(lambda connection, one=one: records.store(connection, one))


def tick(database: Database, minutes: float, holder: str = "w1") -> int | None:
    return database.write(lambda connection: clock.tick(connection, holder=holder, now=at(minutes)))


def move(database: Database, status: str, minutes: float, id: str = "a", **more: Any) -> bool:  # noqa: A002
    def work(connection: Any) -> bool:
        row = records.find(connection, id, lock=True)
        assert row is not None
        return statuses.change(connection, row, Change(status=status, by="kefu", **more), now=at(minutes))

    return database.write(work)


def told(database: Database) -> list[tuple[str, float]]:
    """What the clock told, with the minute."""
    rows = database.read(lambda c: c.execute(select(events_table).order_by(events_table.c.created_at)).all())
    clocks = (events.OVERDUE, events.ESCALATED, events.CALLBACK_DUE)
    minutes = [(row, (row.created_at - NOON).total_seconds() / 60) for row in rows if row.type in clocks]
    return [(row.type.removeprefix("feedback.") + str(row.data.get("level", "")), minute) for row, minute in minutes]


def row_of(database: Database, id: str = "a") -> Any:  # noqa: A002
    return database.read(lambda connection: records.find(connection, id))


def test_what_nobody_answers_is_overdue_and_goes_up_three_levels(database: Database, make_new: Make) -> None:
    keep(database, make_new("a"))
    for minute in range(0, 300, 10):
        tick(database, minute)
    assert told(database) == [("overdue", 30), ("escalated1", 60), ("escalated2", 90), ("escalated3", 120)]
    row = row_of(database)
    assert (row.overdue_at, row.escalation, row.clock_at) == (at(30), 3, None)


def test_a_clock_that_stood_still_makes_up_for_it(database: Database, make_new: Make) -> None:
    keep(database, make_new("a"), make_new("b"))
    counts = [tick(database, 200) for _ in range(6)]
    assert counts == [2, 2, 2, 2, 0, 0]
    assert [name for name, _ in told(database)].count("escalated3") == 2


def test_an_answer_in_time_stops_the_clock(database: Database, make_new: Make) -> None:
    keep(database, make_new("a"))
    assert move(database, "assigned", 5, assignee="li")
    assert move(database, "in_progress", 29)
    for minute in range(30, 300, 30):
        tick(database, minute)
    assert told(database) == []
    assert row_of(database).responded_at == at(29)


def test_to_be_assigned_is_no_answer(database: Database, make_new: Make) -> None:
    keep(database, make_new("a"))
    move(database, "assigned", 5)
    tick(database, 31)
    assert told(database) == [("overdue", 31)]


def test_grave_complaints_are_called_back_after_72_hours(database: Database, make_new: Make) -> None:
    keep(database, make_new("a", urgency="critical"), make_new("b"))
    for one in ("a", "b"):
        move(database, "resolved", 10, one)
    due = 10 + 72 * 60
    assert row_of(database).callback_due_at == at(due)
    assert row_of(database, "b").callback_due_at is None
    tick(database, due - 1)
    assert told(database) == []
    for minute in (due, due + 1):
        tick(database, minute)
    assert told(database) == [("callback_due", due)]


def test_what_is_reopened_is_due_again(database: Database, make_new: Make) -> None:
    keep(database, make_new("a", urgency="critical"))
    tick(database, 31)
    move(database, "resolved", 40)
    move(database, "reopened", 100)
    row = row_of(database)
    assert (row.due_at, row.responded_at, row.resolved_at, row.callback_due_at) == (at(130), None, None, None)
    assert (row.overdue_at, row.cycle) == (None, 1)
    tick(database, 131)
    move(database, "resolved", 140)
    tick(database, 140 + 72 * 60)
    assert [name for name, _ in told(database)] == ["overdue", "overdue", "callback_due"]


@pytest.mark.parametrize("before", statuses.NEXT)
@pytest.mark.parametrize("after", ["assigned", "in_progress", "resolved", "reopened"])
def test_transitions(database: Database, make_new: Make, before: str, after: str) -> None:
    keep(database, make_new("a"))
    way = {"new": (), "reopened": ("resolved", "reopened")}.get(before, (before,))
    for minute, status in enumerate(way):
        move(database, status, minute + 1)
    if after in statuses.NEXT[before] and before != after:
        assert move(database, after, 9)
        assert [entry.status for entry in database.read(lambda c: statuses.history(c, "a"))] == ["new", *way, after]
    elif before == after:
        assert not move(database, after, 9)
    else:
        with pytest.raises(Refused) as refused:
            move(database, after, 2)
        assert refused.value.present == before
        assert row_of(database).status == before


def test_another_assignee_is_a_change(database: Database, make_new: Make) -> None:
    keep(database, make_new("a"))
    assert move(database, "assigned", 1, assignee="li")
    assert not move(database, "assigned", 2, assignee="li")
    assert move(database, "assigned", 3, assignee="wang")


def test_without_a_due_time_the_clock_has_nothing_to_do(database: Database, make_new: Make) -> None:
    keep(database, make_new("a", due=None))
    assert tick(database, 10**6) == 0
    move(database, "resolved", 1)
    move(database, "reopened", 2)
    assert tick(database, 10**6) == 0


def test_a_lease_is_one_workers_until_it_ends_or_gives_up(database: Database) -> None:
    assert tick(database, 0) == 0
    assert tick(database, 0.4, "w2") is None
    assert tick(database, 0.4) == 0  # prolonged to 0.9
    assert tick(database, 0.8, "w2") is None
    assert tick(database, 0.9, "w2") == 0
    assert tick(database, 1.0) is None
    database.write(lambda c: leases.give_up(c, leases.CLOCK, holder="w1", now=at(1)))  # not its own any more
    assert tick(database, 1.0) is None
    database.write(lambda c: leases.give_up(c, leases.CLOCK, holder="w2", now=at(1)))
    assert tick(database, 1.0) == 0


def test_workers_that_all_look_create_each_event_once(database: Database, make_new: Make) -> None:
    keep(database, *(make_new(f"a{i}") for i in range(40)))
    # Even where every one believes to have the lease.
    threads = [threading.Thread(target=tick, args=(database, 10 * i + 31, f"w{i}")) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(6):
        tick(database, 1000)
    assert sorted(name for name, _ in told(database)) == sorted(
        name for name in ("overdue", "escalated1", "escalated2", "escalated3") for _ in range(40)
    )


def test_events_wait_until_they_are_marked(database: Database, make_new: Make) -> None:
    keep(database, make_new("a"), make_new("b"))
    waiting = database.read(lambda connection: events.undispatched(connection, limit=9))
    assert [event.subject for event in waiting] in (["a", "b"], ["b", "a"])
    database.write(lambda connection: events.mark_dispatched(connection, [waiting[0].id], now=at(1)))
    (left,) = database.read(lambda connection: events.undispatched(connection, limit=9))
    assert left.id == waiting[1].id
