"""Counts for the page against counting in Python, on both databases; and that SQLite counts in indexes alone."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from pipeline.schema import LabelSchema
from serving.store import corrections, erasing, figures, records, statuses
from serving.store.corrections import Correction
from serving.store.database import Database, open_database
from serving.store.figures import Slice
from serving.store.migrating import upgrade
from serving.store.records import NewFeedback
from tests.stored_comments import NOON

ZONES = (timezone(timedelta(hours=8)), ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=-3, minutes=-30)))
CHANGE = datetime(2026, 3, 29, 1, tzinfo=UTC)  # clocks go forward in Berlin


@pytest.fixture
def stored(database: Database, make_new: Callable[..., NewFeedback]) -> list[NewFeedback]:
    """200 comments around a change of clocks."""
    chance = random.Random(1)
    made = []
    for i in range(200):
        at = CHANGE + timedelta(minutes=chance.randint(-5000, 5000), seconds=chance.random())
        made.append(
            make_new(
                f"f{i}",
                received_at=at,
                urgency=chance.choice(("low", "high", "critical")),
                category=chance.choice(("logistics", "safety")),
                queue=chance.choice(("logistics", "safety", "general")),
                channel=chance.choice(("app", "hotline", None)),
                due=chance.choice((timedelta(minutes=30), timedelta(days=40), None)),
            )
        )
    database.write(lambda connection: [records.store(connection, new) for new in made])
    return made


def label(new: NewFeedback, task: str) -> str | None:
    return records.label_of(new.result, task)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("hours", [1, 6, 24])
def test_counts_over_time_are_those_of_the_wall_clock(
    database: Database, stored: list[NewFeedback], zone: Any, hours: int
) -> None:
    part = Slice(begin=CHANGE - timedelta(days=2), end=CHANGE + timedelta(days=2))
    cells = database.read(lambda connection: figures.over_time(connection, part, hours=hours, zone=zone))
    expected: Counter[Any] = Counter()
    for new in stored:
        if CHANGE - timedelta(days=2) <= new.created_at < CHANGE + timedelta(days=2):
            wall = new.created_at.astimezone(zone).replace(tzinfo=None, minute=0, second=0, microsecond=0)
            start = wall.replace(hour=wall.hour - wall.hour % hours)
            expected[start, "negative", label(new, "urgency"), label(new, "category")] += 1
    assert {(cell.start, cell.sentiment, cell.urgency, cell.category): cell.count for cell in cells} == expected
    starts = figures.stretches(part.begin or NOON, part.end or NOON, hours=hours, zone=zone)
    assert {cell.start for cell in cells} <= set(starts)
    assert starts == sorted(set(starts))


def test_filters_hold_for_every_count(database: Database, stored: list[NewFeedback]) -> None:
    part = Slice(queue="safety", urgency="high", channel="app")
    wanted = [
        new
        for new in stored
        if (new.result["decision"]["queue"], label(new, "urgency"), new.channel) == ("safety", "high", "app")
    ]
    assert wanted
    assert database.read(lambda connection: figures.total(connection, part)) == len(wanted)
    assert database.read(lambda connection: figures.by_label(connection, part)) == [("negative", "high", len(wanted))]
    assert database.read(lambda connection: figures.total(connection, replace(part, category="none"))) == 0
    first = database.read(figures.first_written)
    assert first == min(new.created_at for new in stored)
    assert database.read(lambda connection: figures.channels(connection, Slice())) == [
        channel for channel, _ in Counter(new.channel for new in stored if new.channel).most_common()
    ]


def test_desks_tell_what_is_open_due_soon_and_overdue(database: Database, stored: list[NewFeedback]) -> None:
    now, soon = CHANGE, timedelta(hours=12)

    def work(connection: Any) -> None:
        for new in stored[:40]:
            row = records.find(connection, new.id)
            statuses.change(connection, row, statuses.Change("resolved", "li"), now=now)  # type: ignore[arg-type]
        for new in stored[40:60]:
            row = records.find(connection, new.id)
            statuses.change(connection, row, statuses.Change("in_progress", "li"), now=now)  # type: ignore[arg-type]
        erasing.erase(connection, records.find(connection, stored[60].id), now=now)  # type: ignore[arg-type]

    database.write(work)
    desks = database.read(lambda connection: figures.desks(connection, Slice(), now=now, soon=soon))
    for desk in desks:
        left = [new for new in stored[40:60] + stored[61:] if new.result["decision"]["queue"] == desk.queue]
        waiting = [new.due_at for new in left if new not in stored[40:60] and new.due_at is not None]
        assert desk.open == len(left)
        assert desk.overdue == sum(due < now for due in waiting)
        assert desk.due_soon == sum(now <= due < now + soon for due in waiting)
    assert {desk.queue for desk in desks} == {"logistics", "safety", "general"}
    assert [desk.overdue for desk in desks] == sorted((desk.overdue for desk in desks), reverse=True)
    # What was erased still counts over time.
    assert database.read(lambda connection: figures.total(connection, Slice())) == len(stored)


def test_a_corrected_sentiment_holds(database: Database, stored: list[NewFeedback], schema: LabelSchema) -> None:
    def correct(connection: Any) -> None:
        row = records.find(connection, "f1", lock=True)
        assert row is not None
        corrections.correct(connection, row, Correction("sentiment", "positive", "li"), schema=schema, now=NOON)

    database.write(correct)
    found = database.read(lambda connection: figures.by_label(connection, Slice()))
    assert sum(count for sentiment, _, count in found if sentiment == "positive") == 1


def test_what_happened_is_told_oldest_first(database: Database, stored: list[NewFeedback]) -> None:
    rows = database.read(lambda connection: figures.happened(connection, since=CHANGE, limit=20))
    later = sorted(new.received_at for new in stored if new.received_at >= CHANGE)
    assert [row.created_at for row in rows] == later[-20:]


def test_sqlite_counts_in_the_indexes_alone(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "plan.db"), timeout=2.0)
    upgrade(database)
    asked: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    part = Slice(queue="safety", begin=CHANGE, end=CHANGE + timedelta(days=1))
    database.read(lambda connection: figures.over_time(connection, part, hours=1, zone=UTC))
    database.read(lambda connection: figures.by_label(connection, part))
    database.read(lambda connection: figures.total(connection, part))
    database.read(lambda connection: figures.desks(connection, part, now=CHANGE, soon=timedelta(hours=1)))
    database.read(lambda connection: figures.happened(connection, since=CHANGE, limit=5))
    statements = list(asked)
    for statement in statements:
        filled = (0,) * statement.count("?")
        plan = database.read(
            lambda connection, sql=f"EXPLAIN QUERY PLAN {statement}", values=filled: list(
                connection.exec_driver_sql(sql, values)
            )
        )
        used = " ".join(row.detail for row in plan)
        index = "ix_events_created_at_id" if "FROM events" in statement else "COVERING INDEX ix_feedback_"
        assert index in used, f"{statement}: {used}"
    assert len(statements) == 5
    database.close()
