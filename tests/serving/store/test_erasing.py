"""Erasing on both databases: what goes, what stays, once, by one worker."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from serving.store import clock, corrections, erasing, events, idempotency, leases, records, signals, statuses
from serving.store.corrections import Correction
from serving.store.database import Database
from serving.store.records import Filters, NewFeedback
from serving.store.tables import events as events_table
from serving.store.tables import idempotency_keys
from tests.stored_comments import NOON

DAY = timedelta(days=1)
Make = Callable[..., NewFeedback]


def row_of(database: Database, id: str) -> Any:  # noqa: A002
    return database.read(lambda connection: records.find(connection, id))


def told(database: Database) -> list[tuple[str, Any]]:
    wanted = select(events_table).where(events_table.c.type == events.ERASED).order_by(events_table.c.subject)
    return [(row.subject, row.data) for row in database.read(lambda connection: connection.execute(wanted).all())]


def test_what_goes_and_what_stays(database: Database, make_new: Make) -> None:
    def write(connection: Any) -> None:
        records.store(connection, make_new("a1", metadata={"order": "7"}, tier="gold"))
        row = records.find(connection, "a1", lock=True)
        assert row is not None
        correction = Correction(task="urgency", label="high", by="li", why="秘密一")
        corrections.correct(connection, row, correction, schema=make_new("x").schema, now=NOON)
        change = statuses.Change(status="assigned", by="li", assignee="wang", note="秘密二")
        statuses.change(connection, row, change, now=NOON + DAY)

    database.write(write)
    before = row_of(database, "a1")
    database.write(lambda connection: erasing.erase(connection, records.find(connection, "a1", lock=True), now=NOON))  # type: ignore[arg-type]
    after = row_of(database, "a1")
    gone = {"text": "", "metadata": {}, "customer_ref": None, "body_digest": "", "clock_at": None, "erased_at": NOON}
    assert after._asdict() == {**before._asdict(), **gone}
    (correction,) = database.read(lambda connection: corrections.of_feedback(connection, ["a1"]))
    assert (correction.label, correction.by, correction.why) == ("high", "li", None)
    history = database.read(lambda connection: statuses.history(connection, "a1"))
    assert [(entry.status, entry.assignee, entry.note) for entry in history] == [
        ("new", None, None),
        ("assigned", "wang", None),
    ]
    assert told(database) == [("a1", {"feedback_id": "a1", "reason": "requested"})]


def test_lists_signals_and_the_clock_leave_it_out(database: Database, make_new: Make) -> None:
    database.write(lambda connection: [records.store(connection, make_new(id_)) for id_ in ("a1", "a2")])
    database.write(lambda connection: erasing.erase(connection, records.find(connection, "a1", lock=True), now=NOON))  # type: ignore[arg-type]
    listed = database.read(lambda connection: records.page(connection, Filters(), limit=9))
    assert [row.id for row in listed] == ["a2"]
    found = database.read(
        lambda connection: signals.find_signals(
            connection, customer_ref="c1", text="快递三天没到", now=NOON + DAY, within=7 * DAY
        )
    )
    assert (found.contacts, found.duplicate_of) == (1, "a2")
    assert database.write(lambda connection: clock.tick(connection, holder="x", now=NOON + DAY)) == 1


def test_all_of_a_customer_in_batches(database: Database, make_new: Make) -> None:
    def write(connection: Any) -> None:
        for i in range(leases.BATCH + 5):
            records.store(connection, make_new(f"a{i:03}"))
        records.store(connection, make_new("other", customer_ref="c2"))

    database.write(write)

    def erase(connection: Any) -> int:
        return erasing.erase_customer(connection, "c1", now=NOON)

    assert [database.write(erase) for _ in range(3)] == [leases.BATCH, 5, 0]
    assert row_of(database, "other").text == "快递三天没到"
    assert len(told(database)) == leases.BATCH + 5


def test_what_is_old_goes_once_under_the_lease(database: Database, make_new: Make) -> None:
    ages = {"old": 31 * DAY, "just": 30 * DAY, "young": 30 * DAY - timedelta(seconds=1)}
    database.write(
        lambda connection: [records.store(connection, make_new(k, received_at=NOON - age)) for k, age in ages.items()]
    )

    def erase(holder: str) -> int | None:
        return database.write(lambda connection: erasing.erase_old(connection, holder=holder, now=NOON, keep=30 * DAY))

    assert [erase("one"), erase("two"), erase("one")] == [2, None, 0]
    assert [row_of(database, name).text == "" for name in ages] == [True, True, False]
    assert [data["reason"] for _, data in told(database)] == ["expired", "expired"]


def test_answers_to_keys_are_forgotten(database: Database, make_new: Make) -> None:
    key = idempotency.Key("anonymous", "k1")

    def write(connection: Any) -> None:
        records.store(connection, make_new("工单-7"))
        claim = idempotency.claim(connection, key, digest="d", token="t", now=NOON, hold=DAY)
        assert isinstance(claim, idempotency.Claim)
        location = "/v1/feedback/%E5%B7%A5%E5%8D%95-7"
        idempotency.finish(connection, claim, status=201, body=b"answer", location=location)
        erasing.erase(connection, records.find(connection, "工单-7", lock=True), now=NOON)  # type: ignore[arg-type]

    database.write(write)
    (row,) = database.read(lambda connection: connection.execute(select(idempotency_keys)).all())
    assert (row.status, row.body) == (410, b"")
    again = database.read(lambda connection: idempotency.peek(connection, key, digest="d", now=NOON))
    assert again == idempotency.Replay(410, b"", "/v1/feedback/%E5%B7%A5%E5%8D%95-7")
