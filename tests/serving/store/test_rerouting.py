"""serving/store/rerouting.py: what another decision changes of a comment at each of its statuses."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select

from serving.store import clock, events, records, statuses
from serving.store.database import Database
from serving.store.records import NewFeedback
from serving.store.rerouting import reroute
from serving.store.statuses import Change
from serving.store.tables import events as events_table
from tests.stored_comments import NOON

Make = Callable[..., NewFeedback]


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def decided(minutes: float | None, queue: str = "refunds", priority: int = 3) -> dict[str, Any]:
    due_at = None if minutes is None else at(minutes).isoformat()
    return {"queue": queue, "due_at": due_at, "zone": "auto", "reasons": ["corrected:urgency"], "priority": priority}


@pytest.fixture
def keep(database: Database, make_new: Make) -> None:
    """The comment a, due at 30 minutes."""
    assert database.write(lambda connection: records.store(connection, make_new("a")))


def again(database: Database, decision: dict[str, Any], minute: float) -> bool:
    def work(connection: Any) -> bool:
        row = records.find(connection, "a", lock=True)
        assert row is not None
        return reroute(connection, row, decision, now=at(minute))

    return database.write(work)


def move(database: Database, status: str, minute: float) -> None:
    def work(connection: Any) -> None:
        row = records.find(connection, "a", lock=True)
        assert row is not None
        statuses.change(connection, row, Change(status=status, by="kefu"), now=at(minute))

    database.write(work)


def tick(database: Database, *minutes: float) -> None:
    for now in map(at, minutes):
        while database.write(lambda connection, now=now: clock.tick(connection, holder="w", now=now)):
            pass


def row_of(database: Database) -> Any:
    return database.read(lambda connection: records.find(connection, "a"))


def told(database: Database, *types: str) -> list[Any]:
    wanted = select(events_table).where(events_table.c.type.in_(types)).order_by(events_table.c.created_at)
    return database.read(lambda connection: connection.execute(wanted).all())


@pytest.mark.usefixtures("keep")
def test_another_desk_and_less_time(database: Database) -> None:
    assert again(database, decided(10, priority=1), 5)
    row = row_of(database)
    assert (row.queue, row.priority, row.zone, row.due_at, row.clock_at) == ("refunds", 1, "auto", at(10), at(10))
    (event,) = told(database, events.REROUTED)
    assert event.data == {
        "feedback_id": "a",
        "queue": "refunds",
        "zone": "auto",
        "priority": 1,
        "due_at": at(10).isoformat(),
        "reasons": ["corrected:urgency"],
        "before": {"queue": "logistics", "zone": "auto", "priority": None, "due_at": at(30).isoformat()},
    }


@pytest.mark.usefixtures("keep")
def test_what_changes_nothing_is_not_told_but_its_reasons_are_kept(database: Database) -> None:
    assert again(database, decided(30), 5)
    assert not again(database, decided(30) | {"reasons": ["corrected:category"]}, 6)
    assert len(told(database, events.REROUTED)) == 1
    assert row_of(database).decision["reasons"] == ["corrected:category"]


@pytest.mark.usefixtures("keep")
def test_a_due_time_that_has_passed_is_overdue_at_the_next_look(database: Database) -> None:
    assert again(database, decided(10), 20)
    tick(database, 20)
    assert row_of(database).overdue_at == at(20)


@pytest.mark.usefixtures("keep")
def test_more_time_ends_being_overdue_and_the_new_time_runs(database: Database) -> None:
    tick(database, 30, 60)
    assert (row_of(database).overdue_at, row_of(database).escalation) == (at(30), 1)
    assert again(database, decided(240), 70)
    row = row_of(database)
    assert (row.overdue_at, row.escalation, row.due_at, row.clock_at) == (None, 0, at(240), at(240))
    tick(database, 200)
    assert row_of(database).overdue_at is None
    tick(database, 240, 480)
    assert [event.data["due_at"] for event in told(database, events.OVERDUE)] == [at(m).isoformat() for m in (30, 240)]
    assert [(event.data["level"], event.data["due_at"]) for event in told(database, events.ESCALATED)] == [
        (1, at(30).isoformat()),
        (1, at(240).isoformat()),
    ]


@pytest.mark.usefixtures("keep")
def test_the_same_due_time_again_passes_again(database: Database) -> None:
    tick(database, 30)
    assert again(database, decided(240), 40)
    assert again(database, decided(30), 50)
    tick(database, 50)
    assert row_of(database).overdue_at == at(50)
    assert [event.created_at for event in told(database, events.OVERDUE)] == [at(30), at(50)]


@pytest.mark.usefixtures("keep")
def test_a_due_time_is_the_same_in_every_zone(database: Database) -> None:
    assert again(database, decided(30), 5)
    local = datetime.fromisoformat(decided(30)["due_at"]).astimezone(timezone(timedelta(hours=8)))
    assert not again(database, decided(30) | {"due_at": local.isoformat()}, 6)
    assert len(told(database, events.REROUTED)) == 1


@pytest.mark.usefixtures("keep")
def test_what_stays_overdue_keeps_its_level_and_goes_up_by_the_new_time(database: Database) -> None:
    tick(database, 30, 60)
    assert again(database, decided(40), 70)
    row = row_of(database)
    assert (row.overdue_at, row.escalation, row.due_at, row.clock_at) == (at(30), 1, at(40), at(120))


@pytest.mark.usefixtures("keep")
def test_what_somebody_took_up_keeps_its_times(database: Database) -> None:
    move(database, "in_progress", 10)
    assert again(database, decided(15), 20)
    row = row_of(database)
    assert (row.queue, row.due_at, row.clock_at) == ("refunds", at(30), None)
    tick(database, 100)
    assert told(database, events.OVERDUE) == []
    (event,) = told(database, events.REROUTED)
    assert event.data["due_at"] == event.data["before"]["due_at"] == at(30).isoformat()


@pytest.mark.usefixtures("keep")
def test_what_is_resolved_stays_where_it_is(database: Database) -> None:
    move(database, "resolved", 10)
    before = row_of(database)
    assert not again(database, decided(15), 20)
    assert row_of(database) == before
    assert told(database, events.REROUTED) == []


@pytest.mark.usefixtures("keep")
def test_the_time_of_what_was_reopened_runs_from_then(database: Database) -> None:
    move(database, "resolved", 10)
    move(database, "reopened", 1000)
    move(database, "assigned", 1005)
    assert again(database, decided(60), 1010)
    assert row_of(database).due_at == row_of(database).clock_at == at(1060)


@pytest.mark.usefixtures("keep")
def test_without_a_due_time_the_clock_has_nothing_to_do(database: Database) -> None:
    tick(database, 30)
    assert again(database, decided(None), 40)
    row = row_of(database)
    assert (row.due_at, row.clock_at, row.overdue_at, row.escalation) == (None, None, None, 0)
