"""serving/store/calls.py: calls back to customers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.schema import LabelSchema
from serving.store import calls, clock, corrections, erasing, events, records, statuses
from serving.store.calls import Call, NotResolved
from serving.store.corrections import Correction
from serving.store.database import Database
from serving.store.records import Filters, NewFeedback
from serving.store.statuses import Change
from serving.store.tables import events as events_table
from tests.stored_comments import NOON

Make = Callable[..., NewFeedback]


def hours(count: float) -> datetime:
    return NOON + timedelta(hours=count)


@pytest.fixture
def grave(database: Database, make_new: Make) -> None:
    """The grave comment a, resolved after an hour, due a call-back 72 hours later."""
    assert database.write(lambda connection: records.store(connection, make_new("a", urgency="critical")))
    move(database, "resolved", 1)


def locked(database: Database, work: Callable[[Any, Any], Any]) -> Any:
    return database.write(lambda connection: work(connection, records.find(connection, "a", lock=True)))


def move(database: Database, status: str, hour: float) -> None:
    change = Change(status=status, by="kefu")
    locked(database, lambda connection, row: statuses.change(connection, row, change, now=hours(hour)))


def call(database: Database, outcome: str, hour: float, *, by: str = "kefu", note: str | None = None) -> bool:
    made = Call(outcome=outcome, by=by, note=note)
    _, new = locked(database, lambda connection, row: calls.record(connection, row, made, now=hours(hour)))
    assert isinstance(new, bool)
    return new


def row_of(database: Database) -> Any:
    return database.read(lambda connection: records.find(connection, "a"))


def due(database: Database) -> list[str]:
    page = database.read(lambda connection: records.page(connection, Filters(call_due=True), limit=9))
    return [row.id for row in page]


def told(database: Database, type: str) -> list[Any]:  # noqa: A002
    found = select(events_table).where(events_table.c.type == type).order_by(events_table.c.created_at)
    return database.read(lambda connection: connection.execute(found).all())


def tick(database: Database, hour: float) -> None:
    database.write(lambda connection: clock.tick(connection, holder="w", now=hours(hour)))


@pytest.mark.usefixtures("grave")
def test_a_customer_who_was_reached_is_not_due_any_more(database: Database) -> None:
    assert due(database) == ["a"]
    assert call(database, "satisfied", 20, note="问题已解决")
    row = row_of(database)
    assert (row.called_back_at, row.call_outcome, row.clock_at) == (hours(20), "satisfied", None)
    assert due(database) == []
    tick(database, 100)
    assert told(database, events.CALLBACK_DUE) == []
    (event,) = told(database, events.CALLED_BACK)
    assert (event.data["outcome"], event.data["queue"]) == ("satisfied", "logistics")
    assert "note" not in event.data


@pytest.mark.usefixtures("grave")
def test_whoever_was_not_reached_stays_due(database: Database) -> None:
    assert call(database, "unreachable", 20)
    assert call(database, "unreachable", 21)  # another attempt
    assert due(database) == ["a"]
    tick(database, 73)
    assert len(told(database, events.CALLBACK_DUE)) == 1
    assert call(database, "dissatisfied", 74)
    assert due(database) == []
    made = database.read(lambda connection: calls.of_feedback(connection, "a"))
    assert [entry.outcome for entry in made] == ["unreachable", "unreachable", "dissatisfied"]


@pytest.mark.usefixtures("grave")
def test_the_same_call_sent_twice_is_kept_once(database: Database) -> None:
    assert call(database, "satisfied", 20)
    assert not call(database, "satisfied", 21)
    assert call(database, "satisfied", 22, by="another")
    assert len(told(database, events.CALLED_BACK)) == 2


@pytest.mark.usefixtures("grave")
def test_what_is_reopened_and_resolved_again_is_due_again(database: Database) -> None:
    assert call(database, "dissatisfied", 20)
    move(database, "reopened", 21)
    row = row_of(database)
    assert (row.callback_due_at, row.called_back_at, row.call_outcome) == (None, None, None)
    move(database, "resolved", 30)
    assert due(database) == ["a"]
    assert call(database, "dissatisfied", 31)  # the same words, of another time
    assert due(database) == []


@pytest.mark.usefixtures("grave")
def test_who_is_not_there_later_takes_back_nothing(database: Database) -> None:
    assert call(database, "satisfied", 20)
    assert call(database, "unreachable", 21)
    row = row_of(database)
    assert (row.called_back_at, row.call_outcome) == (hours(20), "satisfied")
    assert due(database) == []


def test_what_turns_out_to_be_grave_after_it_was_resolved_is_called_back_too(
    database: Database, make_new: Make, schema: LabelSchema
) -> None:
    def correct(label: str, hour: float) -> None:
        correction = Correction(task="urgency", label=label, by="kefu")
        locked(database, lambda c, row: corrections.correct(c, row, correction, schema=schema, now=hours(hour)))

    assert database.write(lambda connection: records.store(connection, make_new("a")))
    move(database, "resolved", 1)
    correct("critical", 2)
    assert due(database) == ["a"]
    assert row_of(database).callback_due_at == hours(73)
    correct("low", 3)
    assert due(database) == []
    correct("critical", 4)
    tick(database, 74)
    assert len(told(database, events.CALLBACK_DUE)) == 1
    call(database, "satisfied", 75)
    correct("low", 76)
    assert row_of(database).callback_due_at == hours(73)  # it was made


def test_before_it_is_resolved_there_is_nothing_to_ask(database: Database, make_new: Make) -> None:
    assert database.write(lambda connection: records.store(connection, make_new("a")))
    with pytest.raises(NotResolved, match="new"):
        call(database, "satisfied", 1)
    move(database, "resolved", 2)
    assert due(database) == []  # not grave
    assert call(database, "satisfied", 3)


@pytest.mark.usefixtures("grave")
def test_erasing_takes_the_note(database: Database) -> None:
    call(database, "satisfied", 20, note="老王说好")
    locked(database, lambda connection, row: erasing.erase(connection, row, now=hours(30)))
    (made,) = database.read(lambda connection: calls.of_feedback(connection, "a"))
    assert (made.outcome, made.note) == ("satisfied", None)
