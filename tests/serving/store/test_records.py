"""Comments: kept once, found, filtered, and paged through while others come in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import func, select

from serving.store import corrections, cursor, events, records
from serving.store.corrections import Correction
from serving.store.database import Database
from serving.store.records import Filters, NewFeedback
from serving.store.tables import events as events_table
from serving.store.tables import feedback
from tests.stored_comments import NOON

Make = Callable[..., NewFeedback]


def keep(database: Database, *new: NewFeedback) -> list[bool]:
    return [database.write(lambda connection, one=one: records.store(connection, one)) for one in new]  # type: ignore[misc]


def ids(database: Database, **filters: Any) -> list[str]:
    return [row.id for row in database.read(lambda c: records.page(c, Filters(**filters), limit=100))]


def test_a_comment_is_kept_whole(database: Database, make_new: Make) -> None:
    metadata = {"order": 10**40, "ratio": 1e300, "deep": [{"a": None, "b": "emoji 😀"}], "": ""}
    created = datetime(1, 1, 1, 9, tzinfo=timezone(timedelta(hours=8)))
    new = make_new("单-1", metadata=metadata, created_at=created, tier="gold", urgency="critical")
    assert keep(database, new) == [True]
    row = database.read(lambda connection: records.find(connection, "单-1"))
    assert row is not None
    assert (row.text, row.metadata, row.tier) == (new.text, metadata, "gold")
    assert row.created_at == created
    assert row.created_at.tzinfo is UTC
    assert (row.category, row.urgency, row.grave, row.status) == ("logistics", "critical", True, "new")
    assert row.due_at == NOON + timedelta(minutes=30)
    assert row.decision == new.result["decision"]
    assert set(row.prediction) == set(new.result) - {"id", "decision"}


def test_an_id_is_kept_once_with_one_event(database: Database, make_new: Make) -> None:
    assert keep(database, make_new("a"), make_new("a", text="另一条")) == [True, False]
    rows = database.read(lambda connection: connection.execute(select(feedback.c.text)).all())
    assert [row.text for row in rows] == ["快递三天没到"]
    (event,) = database.read(lambda connection: events.undispatched(connection, limit=9))
    assert (event.type, event.subject) == ("feedback.routed", "a")
    assert event.data["labels"]["category"] == "logistics"
    assert "快递" not in str(event.data)


@pytest.mark.parametrize(
    ("urgency", "reasons", "grave"),
    [
        ("high", (), False),
        ("critical", (), True),
        ("low", ("raised:critical",), True),
        ("low", ("raised:high",), False),
    ],
)
def test_what_is_grave(database: Database, make_new: Make, urgency: str, reasons: Any, grave: bool) -> None:
    keep(database, make_new("a", urgency=urgency, reasons=reasons))
    row = database.read(lambda connection: records.find(connection, "a"))
    assert row is not None
    assert row.grave is grave


def test_filters(database: Database, make_new: Make) -> None:
    hours = [NOON + timedelta(hours=i) for i in range(3)]
    keep(
        database,
        make_new("a", received_at=hours[0]),
        make_new("b", received_at=hours[1], queue="safety", category="safety", urgency="critical"),
        make_new("c", received_at=hours[2], channel="hotline", customer_ref="c2"),
    )
    assert ids(database) == ["c", "b", "a"]
    assert ids(database, status="new") == ["c", "b", "a"]
    assert ids(database, status="resolved") == []
    assert (
        ids(database, queue="safety") == ids(database, category="safety") == ids(database, urgency="critical") == ["b"]
    )
    assert ids(database, channel="app", customer_ref="c1") == ["b", "a"]
    assert ids(database, customer_ref="c2") == ["c"]
    assert ids(database, received_from=hours[1]) == ["c", "b"]
    assert ids(database, received_before=hours[1]) == ["a"]
    assert ids(database, corrected=True) == []


def test_pages_lose_and_repeat_nothing_while_others_come_in(database: Database, make_new: Make) -> None:
    # Five at each moment, so that the id has to tell them apart.
    keep(database, *(make_new(f"{i:02}", received_at=NOON + timedelta(minutes=i // 5)) for i in range(25)))
    found: list[str] = []
    after = None
    while True:
        rows = database.read(lambda c, after=after: records.page(c, Filters(), after=after, limit=4))
        if not rows:
            break
        found += [row.id for row in rows]
        after = cursor.decode(cursor.encode(rows[-1].received_at, rows[-1].id))
        keep(database, make_new(f"new{len(found)}", received_at=NOON + timedelta(hours=1)))
    assert found == [f"{i:02}" for i in reversed(range(25))]


def test_the_label_that_holds_is_a_persons(database: Database, make_new: Make, schema: Any) -> None:
    keep(database, make_new("a"))

    def correct(label: str, by: str = "kefu", after: int = 0) -> tuple[str, bool]:
        def work(connection: Any) -> tuple[str, bool]:
            row = records.find(connection, "a", lock=True)
            assert row is not None
            now = NOON + timedelta(minutes=after)
            return corrections.correct(connection, row, Correction("urgency", label, by), schema=schema, now=now)

        return database.write(work)

    first, new = correct("critical")
    assert new
    assert correct("critical", after=1) == (first, False)
    row = database.read(lambda connection: records.find(connection, "a"))
    assert row is not None
    assert (row.urgency, row.grave) == ("critical", True)
    assert row.prediction["labels"]["urgency"]["label"] == "low"
    assert correct("high", by="lead", after=2)[1]
    assert ids(database, urgency="high", corrected=True) == ["a"]
    kept = database.read(lambda connection: corrections.of_feedback(connection, ["a"]))
    assert [(entry.label, entry.by) for entry in kept] == [("critical", "kefu"), ("high", "lead")]
    count = select(func.count()).where(events_table.c.type == "feedback.corrected")
    assert database.read(lambda connection: connection.scalar(count)) == 2
