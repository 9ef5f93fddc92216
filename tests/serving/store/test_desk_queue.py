"""The list that desks work off: order and pages against sorting in Python, on both databases."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest

from serving.store import desk_queue, erasing, records, statuses
from serving.store.database import Database
from serving.store.desk_queue import State
from serving.store.figures import Slice
from serving.store.records import NewFeedback
from tests.stored_comments import NOON

NOW, SOON = NOON, timedelta(hours=1)


@pytest.fixture
def rows(database: Database, make_new: Callable[..., NewFeedback]) -> list[Any]:
    """80 comments in every status, some due at the same moment, some never; one erased."""
    chance = random.Random(2)
    made = [
        make_new(
            f"f{i:02}",
            received_at=NOON - timedelta(minutes=chance.randint(0, 20)),
            due=chance.choice((None, timedelta(minutes=chance.choice((5, 30, 90))))),
            text="长" * 300,
            urgency="low" if i % 3 else "critical",
        )
        for i in range(80)
    ]
    ways = ((), ("assigned",), ("in_progress",), ("resolved",), ("resolved", "reopened"))

    def fill(connection: Any) -> None:
        for new in made:
            records.store(connection, new)
            for step, status in enumerate(chance.choice(ways)):
                row = records.find(connection, new.id)
                at = NOON + timedelta(seconds=chance.randint(0, 3) + 10 * step)
                statuses.change(connection, row, statuses.Change(status, "li"), now=at)  # type: ignore[arg-type]
        erasing.erase(connection, records.find(connection, "f05"), now=NOON)  # type: ignore[arg-type]

    database.write(fill)
    return database.read(
        lambda connection: [row for new in made if (row := records.find(connection, new.id)).erased_at is None]  # type: ignore[union-attr]
    )


def wanted(rows: list[Any], state: str) -> list[str]:
    def waits(row: Any) -> bool:
        return row.responded_at is None and row.status != "resolved"

    if state == "call_due":
        kept = [row for row in rows if row.callback_due_at is not None and row.called_back_at is None]
        return [row.id for row in sorted(kept, key=lambda row: (row.callback_due_at, row.id))]
    if state in ("resolved", "all"):
        kept = [row for row in rows if state == "all" or row.status == "resolved"]
        return [row.id for row in sorted(kept, key=lambda row: (row.created_at, row.id), reverse=True)]
    kept = [row for row in rows if row.status != "resolved"]
    if state == "overdue":
        kept = [row for row in kept if waits(row) and row.due_at and row.due_at < NOW]
    elif state == "due_soon":
        kept = [row for row in kept if waits(row) and row.due_at and NOW <= row.due_at < NOW + SOON]
    elif state != "open":
        kept = [row for row in kept if row.status == state]

    def place(row: Any) -> tuple[int, datetime, str]:
        if row.responded_at is not None:
            return 2, row.responded_at, row.id
        return (1, NOON, row.id) if row.due_at is None else (0, row.due_at, row.id)

    return [row.id for row in sorted(kept, key=place)]


@pytest.mark.parametrize("state", get_args(State))
def test_pages_are_the_whole_in_order(database: Database, rows: list[Any], state: State) -> None:
    found: list[Any] = []
    after = None
    while True:
        page = database.read(
            lambda connection, after=after: desk_queue.page(
                connection, Slice(), state=state, now=NOW, soon=SOON, after=after, limit=7
            )
        )
        found += page
        if len(page) < 7:
            break
        after = desk_queue.place_of(page[-1], state)
    assert [row.id for row in found] == wanted(rows, state)
    assert found
    assert {len(row.text) for row in found} == {200}


def test_filters_and_times_hold(database: Database, rows: list[Any]) -> None:
    def ids(part: Slice, state: State = "all") -> list[str]:
        return [
            row.id
            for row in database.read(
                lambda connection: desk_queue.page(
                    connection, part, state=state, now=NOW, soon=SOON, after=None, limit=200
                )
            )
        ]

    assert ids(Slice(queue="none")) == ids(Slice(channel="none"), "open") == []
    low = [row for row in rows if row.urgency == "low"]
    assert len(ids(Slice(queue="logistics", category="logistics", urgency="low", channel="app"))) == len(low)
    begin, end = NOON - timedelta(minutes=10), NOON - timedelta(minutes=5)
    assert set(ids(Slice(begin=begin, end=end))) == {row.id for row in rows if begin <= row.created_at < end}
