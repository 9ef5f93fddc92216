"""Deliveries over real HTTP, verified with the reference package; the clock is the test's."""

import asyncio
import json
import logging
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook, WebhookVerificationError

from serving.sealing import Seal
from serving.store import corrections, deliveries, endpoint_table, events, records, replaying, statuses, tables
from serving.store.corrections import Correction
from serving.store.database import Database, open_database
from serving.store.statuses import Change
from serving.store.threads import StoreThreads
from serving.webhooks import delivering
from serving.webhooks.delivering import Deliverer
from serving.webhooks.endpoints import new_endpoint, rotated
from tests.serving.webhooks.conftest import Bench
from tests.webhook_receiver import Got, Receiver, answering


def test_an_event_arrives_signed_and_without_text(bench: Bench, receiver: Receiver) -> None:
    _, secret = bench.subscribe(receiver.url + "?from=fankui")
    bench.keep("a1")
    assert bench.deliver() == 1
    (got,) = receiver.got
    body = got.verified(secret)
    assert body == {
        "type": "feedback.routed",
        "timestamp": bench.now.isoformat().replace("+00:00", "Z"),
        "event_id": bench.row().event_id,
        "data": {
            "feedback_id": "a1",
            "labels": {"sentiment": "negative", "category": "logistics", "urgency": "low"},
            "queue": "logistics",
            "due_at": (bench.now + timedelta(minutes=30)).isoformat(),
            "zone": "auto",
            "reasons": [],
            "model_version": "small@1",
            "path": "/v1/feedback/a1",
        },
    }
    assert "快递" not in got.body.decode()
    assert len(got.body) < 20_000
    assert got.path == "/hooks?from=fankui"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["content-type"] == "application/json"
    assert "." not in got.headers["webhook-id"]
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 43 + "=").verify(got.body, got.headers)
    for name, value in (("webhook-id", "msg_other"), ("webhook-timestamp", str(int(time.time()) - 10))):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(got.body, {**got.headers, name: value})
    row = bench.row()
    assert (row.status, row.attempts, row.last_status, row.last_error, row.claim) == ("delivered", 1, 204, None, None)
    assert bench.deliver() == 0


def test_each_kind_of_event_goes_to_who_wants_it(
    bench: Bench, make_receiver: Callable[..., Receiver], database: Database
) -> None:
    all_of_them, some = make_receiver(), make_receiver()
    bench.subscribe(all_of_them.url, name="all")
    bench.subscribe(some.url, "feedback.corrected", "job.finished", name="some")
    bench.keep("a1")

    def work(connection: Any) -> None:
        row = records.find(connection, "a1", lock=True)
        assert row is not None
        correction = Correction(task="urgency", label="high", by="li", why="客户电话里说的")
        corrections.correct(connection, row, correction, schema=bench.schema, now=bench.now)
        statuses.change(connection, row, Change(status="in_progress", by="li", note="已联系"), now=bench.now)
        events.record(connection, events.Event(events.JOB_FINISHED, "j1", {"path": "/v1/jobs/j1"}, bench.now))

    database.write(work)
    assert bench.deliver() == 6
    told = sorted(json.loads(got.body)["type"] for got in all_of_them.got)
    assert told == ["feedback.corrected", "feedback.routed", "feedback.status_changed", "job.finished"]
    assert sorted(json.loads(got.body)["type"] for got in some.got) == ["feedback.corrected", "job.finished"]
    job = next(body for got in some.got if (body := json.loads(got.body))["type"] == "job.finished")
    assert job["data"] == {"path": "/v1/jobs/j1"}
    sent = b"".join(got.body for got in all_of_them.got).decode()
    assert not any(text in sent for text in ("快递", "电话", "联系", '"li"'))
    # One event, two endpoints: two ids, which a receiver of both can tell apart.
    ids = {got.headers["webhook-id"] for got in (*all_of_them.got, *some.got)}
    assert len(ids) == 6


def test_only_what_happens_after_it_was_added_is_told(bench: Bench, receiver: Receiver) -> None:
    bench.keep("before")
    assert bench.deliver() == 0  # nobody is there
    bench.later(seconds=1)
    bench.subscribe(receiver.url)
    bench.later(seconds=1)
    bench.keep("after")
    assert bench.deliver() == 1
    assert [json.loads(got.body)["data"]["feedback_id"] for got in receiver.got] == ["after"]


def test_the_schedule_of_standard_webhooks_then_a_dead_letter_then_a_replay(
    bench: Bench, receiver: Receiver, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench.subscribe(receiver.url)
    receiver.answer = answering(500)
    bench.keep("a1")
    waits = [timedelta(0)]
    assert bench.deliver() == 1
    while bench.row().status == "pending":
        waits.append(bench.row().next_attempt_at - bench.now)
        bench.now = bench.row().next_attempt_at - timedelta(milliseconds=1)
        assert bench.deliver() == 0
        bench.later(milliseconds=1)
        assert bench.deliver() == 1
    hours = [wait.total_seconds() / 3600 for wait in waits]
    assert hours == [0, 5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert len(receiver.got) == 10
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.got}) == 10
    assert len({got.body for got in receiver.got}) == 1
    row = bench.row()
    assert (row.status, row.attempts, row.last_status, row.last_error) == ("dead", 10, 500, "status")
    assert [record.getMessage() for record in caplog.records] == ["webhook_failed"] * 9 + ["webhook_dead"]
    fields = caplog.records[-1].fields  # type: ignore[attr-defined]
    assert (fields["webhook"], fields["attempt"], fields["cause"]) == (row.endpoint_id, 10, "status")
    assert str(receiver.port) not in json.dumps([record.fields for record in caplog.records])  # type: ignore[attr-defined]
    bench.later(days=30)
    assert bench.deliver() == 0

    letters = database.read(partial(replaying.dead_letters, limit=9))
    assert [(letter.endpoint, letter.subject, letter.last_error) for letter in letters] == [("crm", "a1", "status")]
    receiver.answer = answering(200)
    again = database.write(partial(replaying.replay_dead, endpoints=[bench.endpoint()], now=bench.now))
    assert again == 1
    assert bench.deliver() == 1
    assert receiver.got[-1].headers["webhook-id"] == receiver.got[0].headers["webhook-id"]
    assert bench.row().status == "delivered"
    page = bench.metrics.page().decode()
    for outcome, count in (("failed", 9), ("dead", 1), ("delivered", 1)):
        line = f'fankui_webhook_attempts_total{{outcome="{outcome}",webhook="{row.endpoint_id}"}} {count}.0'
        assert line in page


def test_events_are_replayed_by_id_and_since_a_time(bench: Bench, receiver: Receiver, database: Database) -> None:
    bench.keep("before")
    bench.later(seconds=1)
    bench.subscribe(receiver.url, "feedback.routed")
    bench.keep("a1", "a2")
    unwanted = events.Event(events.JOB_FINISHED, "j1", {}, bench.now)
    database.write(partial(events.record, event=unwanted))
    assert bench.deliver() == 2
    endpoint = [bench.endpoint()]
    ids = [row.event_id for row in bench.rows()]
    assert database.write(partial(replaying.replay_events, ids=ids[:1], endpoints=endpoint, now=bench.now)) == 1
    assert bench.deliver() == 1
    since = bench.now - timedelta(seconds=10)
    count, cursor = database.write(
        partial(replaying.replay_since, since=since, endpoints=endpoint, after=None, now=bench.now)
    )
    assert (count, cursor) == (3, None)
    assert bench.deliver() == 3
    told = [json.loads(got.body)["data"]["feedback_id"] for got in receiver.got]
    assert sorted(told[3:]) == ["a1", "a2", "before"]


def test_messages_carry_both_signatures_while_a_secret_changes(
    bench: Bench, receiver: Receiver, database: Database
) -> None:
    endpoint, old = bench.subscribe(receiver.url)
    changed, new = rotated(endpoint, now=bench.now, overlap=timedelta(hours=24), seal=None)
    database.write(partial(endpoint_table.put_secrets, endpoint=changed))
    bench.keep("a1")
    bench.deliver()
    for secret in (old, new):
        assert receiver.got[0].verified(secret)["data"]["feedback_id"] == "a1"
    assert receiver.got[0].headers["webhook-signature"].count("v1,") == 2
    bench.later(hours=24)
    bench.keep("a2")
    bench.deliver()
    (signature,) = receiver.got[1].headers["webhook-signature"].split()
    got = receiver.got[1]
    assert signature == Webhook(new).sign(got.headers["webhook-id"], bench.now, got.body.decode())


def test_secrets_are_sealed_where_there_is_a_key(bench: Bench, receiver: Receiver, database: Database) -> None:
    bench.seal = Seal({"k": bytes(range(32))})
    endpoint, secret = bench.subscribe(receiver.url)
    (kept,) = bench.endpoint().secrets
    assert kept.sealed
    assert secret.removeprefix("whsec_") not in json.dumps(kept.to_dict())
    bench.keep("a1")
    bench.seal = None  # a worker that was started without the key
    bench.deliver()
    assert (bench.row().status, bench.row().last_error) == ("pending", "secret_sealed")
    assert receiver.got == []
    bench.seal = Seal({"k": bytes(range(32))})
    bench.later(seconds=6)
    bench.deliver()
    assert receiver.got[0].headers["webhook-signature"] == Webhook(secret).sign(
        receiver.got[0].headers["webhook-id"], bench.now, receiver.got[0].body.decode()
    )
    assert endpoint.id == bench.endpoint().id


def test_410_disables_until_somebody_enables_it(bench: Bench, receiver: Receiver, database: Database) -> None:
    bench.subscribe(receiver.url)
    receiver.answer = answering(410)
    bench.keep("a1", "a2", "a3")
    sent = bench.deliver()
    endpoint = bench.endpoint()
    assert (endpoint.disabled_why, endpoint.disabled_at) == ("gone", bench.now)
    dead = [row for row in bench.rows() if row.status == "dead"]
    assert {row.last_error for row in dead} == {"gone"}
    assert len(dead) == sent == len(receiver.got)
    bench.later(days=1)
    bench.keep("a4")  # nobody is there to be told
    assert bench.deliver() == 0
    receiver.answer = answering(204)
    database.write(partial(endpoint_table.enable, identity=endpoint.id))
    bench.deliver()
    database.write(partial(replaying.replay_dead, endpoints=[endpoint], now=bench.now))
    bench.deliver()
    assert {row.status for row in bench.rows()} == {"delivered"}
    assert len(bench.rows()) == 3


ONE_STORE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""Of what no database has a part in."""


@ONE_STORE
@pytest.mark.parametrize(("status", "header", "wait"), [
    (429, "7", 7.0), (503, "3600", 3600.0), (429, "9" * 30, 86400.0), (500, "soon", 5.0), (429, "1", 5.0),
])  # fmt: skip
def test_retry_after_is_honored_for_all_of_the_endpoint(
    bench: Bench, receiver: Receiver, status: int, header: str, wait: float
) -> None:
    bench.subscribe(receiver.url)
    receiver.answer = answering(status, Retry_After=header)
    bench.keep("a1")
    assert bench.deliver() == 1
    assert (bench.row().next_attempt_at - bench.now).total_seconds() == wait
    receiver.answer = answering(204)
    if wait > 5:
        bench.later(seconds=wait - 1)
        bench.keep("a2")
        assert bench.deliver() == 0
        bench.later(seconds=1)
        assert bench.deliver() == 2
    else:
        bench.later(seconds=wait)
        assert bench.deliver() == 1


def reset(_: Receiver, handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    for one in (handler.rfile, handler.wfile, handler.connection):
        one.close()
    handler.close_connection = True


def hang(receiver: Receiver, _: BaseHTTPRequestHandler) -> None:
    receiver.release.wait(20)


def trickle(receiver: Receiver, handler: BaseHTTPRequestHandler) -> None:
    while not receiver.release.wait(0.05):
        handler.wfile.write(b"H")


def endless_body(receiver: Receiver, handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(10 << 30))
    handler.end_headers()
    while not receiver.release.is_set():
        handler.wfile.write(b"x" * 65536)
        receiver.written += 65536


def body_that_never_comes(receiver: Receiver, handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "10")
    handler.end_headers()
    receiver.release.wait(20)


def no_http(_: Receiver, handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    handler.close_connection = True


@ONE_STORE
@pytest.mark.parametrize(("answer", "status", "error"), [
    (answering(301, Location="http://127.0.0.1:1/"), 301, "redirect"),
    (answering(302, Location="/elsewhere"), 302, "redirect"),
    (answering(404), 404, "status"),
    (answering(500, b"x" * 100_000), 500, "status"),
    (answering(200, b"ok"), 200, None),
    (answering(202), 202, None),
    (reset, None, "connection"),
    (hang, None, "timeout"),
    (trickle, None, "timeout"),
    (endless_body, 200, None),
    (body_that_never_comes, 200, None),
    (no_http, None, "not_http"),
])  # fmt: skip
def test_what_receivers_may_answer(
    bench: Bench, receiver: Receiver, answer: Any, status: int | None, error: str | None
) -> None:
    bench.options["timeout"] = 1.5
    bench.subscribe(receiver.url)
    receiver.answer = answer
    bench.keep("a1")
    started = time.monotonic()
    assert bench.deliver() == 1
    assert time.monotonic() - started < 5
    row = bench.row()
    assert (row.last_status, row.last_error) == (status, error)
    assert row.status == ("delivered" if error is None else "pending")
    assert len(receiver.got) == 1
    assert receiver.written < 32 << 20  # what the system's own buffers take


@ONE_STORE
def test_nobody_listens(bench: Bench, receiver: Receiver) -> None:
    bench.subscribe(receiver.url)
    receiver.close()
    bench.keep("a1")
    bench.deliver()
    assert (bench.row().status, bench.row().last_error) == ("pending", "connect")


@ONE_STORE
def test_a_slow_endpoint_holds_up_nobody_and_gets_few_at_once(
    bench: Bench, make_receiver: Callable[..., Receiver]
) -> None:
    slow, fast = make_receiver(), make_receiver()
    slow.answer = hang
    bench.options["timeout"] = 20.0
    bench.subscribe(slow.url, name="slow")
    bench.subscribe(fast.url, name="fast")
    bench.keep(*(f"a{i}" for i in range(30)))

    async def work(deliverer: Deliverer) -> int:
        running = asyncio.create_task(deliverer.run(seconds=0.05))
        started = time.monotonic()
        await asyncio.to_thread(fast.wait_for, 30)
        taken = time.monotonic() - started
        running.cancel()
        return round(taken * 1000)

    assert bench.deliver(work=work) < 2500
    assert slow.most_at_once == deliveries.PER_ENDPOINT
    assert fast.most_at_once <= deliveries.PER_ENDPOINT
    # What was under way when the worker ended was given back, and counts as no attempt.
    slow_id = next(row.endpoint_id for row in bench.rows() if row.status == "pending")
    waiting = [row for row in bench.rows() if row.endpoint_id == slow_id]
    assert [(row.status, row.attempts, row.claim) for row in waiting] == [("pending", 0, None)] * 30


def test_an_endpoint_that_fails_is_tried_by_one_message_at_a_time(bench: Bench, receiver: Receiver) -> None:
    bench.subscribe(receiver.url)
    receiver.answer = answering(500)
    bench.keep(*(f"a{i:02}" for i in range(20)))
    assert bench.deliver() < 8  # 4 at once, then it is left alone for a while
    assert bench.endpoint().failures == len(receiver.got)
    bench.later(seconds=61)
    count = len(receiver.got)
    assert bench.deliver() == 1
    receiver.answer = answering(204)
    bench.later(minutes=10)
    assert bench.deliver() == 20
    assert len(receiver.got) == count + 21
    assert bench.endpoint().failures == 0


def test_two_deliverers_at_once_send_each_message_once(bench: Bench, receiver: Receiver) -> None:
    bench.subscribe(receiver.url)
    receiver.answer = lambda *given: (time.sleep(0.02), answering(204)(*given))[1]
    bench.keep(*(f"a{i}" for i in range(40)))

    async def work(first: Deliverer) -> int:
        second = bench.deliverer("w2")
        running = [asyncio.create_task(one.run(seconds=0.02)) for one in (first, second)]
        await asyncio.to_thread(receiver.wait_for, 40)
        await asyncio.sleep(0.3)
        for task in running:
            task.cancel()
        await second.close()
        return 0

    bench.deliver(work=work)
    assert len(receiver.got) == 40
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 40
    assert {row.status for row in bench.rows()} == {"delivered"}


def test_a_deliverer_that_died_leaves_its_messages_to_the_next(bench: Bench, receiver: Receiver) -> None:
    """What is claimed is nobody else's, until the claim runs out; its holder then notes nothing any more."""
    bench.subscribe(receiver.url)
    bench.keep("a1")

    def claim(holder: str) -> list[deliveries.Claimed] | None:
        bench.database.write(lambda c: deliveries.dispatch(c, holder=holder, now=bench.now))
        return bench.database.write(
            lambda c: deliveries.claim(
                c, holder=holder, now=bench.now, hold=timedelta(seconds=25), room=9, busy={}, token=holder
            )
        )

    (lost,) = claim("w1") or []
    assert claim("w2") is None  # the lease
    bench.later(seconds=20)
    assert claim("w1") == []  # the claim, though the lease is its own
    bench.later(seconds=31)
    assert bench.deliver(holder="w2") == 1
    late = deliveries.Mark(deliveries.PENDING, "timeout", next_attempt_at=bench.now)
    assert bench.database.write(lambda c: deliveries.mark(c, lost, late, now=bench.now)) is False
    assert (bench.row().status, bench.row().attempts) == ("delivered", 2)


def test_what_was_received_long_ago_is_forgotten_and_what_waits_is_seen(bench: Bench, receiver: Receiver) -> None:
    bench.subscribe(receiver.url)
    bench.keep("a1")
    assert bench.database.read(deliveries.oldest_pending) == bench.now
    bench.deliver()
    assert bench.database.read(deliveries.oldest_pending) is None
    bench.later(days=29)
    assert bench.database.write(lambda c: deliveries.forget_old(c, now=bench.now)) == 0
    bench.later(days=1)
    assert bench.database.write(lambda c: deliveries.forget_old(c, now=bench.now)) == 1
    assert bench.rows() == []


def test_old_events_go_once_everyone_was_told(bench: Bench, receiver: Receiver) -> None:
    def forget(holder: str = "w") -> int | None:
        keep = timedelta(days=90)
        return bench.database.write(lambda c: deliveries.forget_events(c, holder=holder, now=bench.now, keep=keep))

    def left() -> list[str]:
        return bench.database.read(lambda c: list(c.scalars(select(tables.events.c.subject))))

    bench.subscribe(receiver.url)
    bench.keep("a1")
    bench.deliver()
    receiver.answer = answering(500)
    bench.keep("a2")
    bench.deliver()
    bench.later(days=89)
    assert forget() == 0
    assert forget("another") is None  # the lease
    bench.later(days=2)
    bench.keep("a3")
    assert forget() == 1
    assert sorted(left()) == ["a2", "a3"]  # one that is still tried, and one that is new
    bench.later(days=400)
    assert forget() == 0  # nobody has looked yet who wants to hear of a3
    receiver.answer = answering(204)
    while bench.deliver():
        pass
    bench.later(minutes=1)
    assert forget() == 2
    assert (left(), bench.rows()) == ([], [])


def test_old_events_go_where_nobody_subscribes(bench: Bench) -> None:
    bench.keep("a1")
    bench.later(days=91)
    keep = timedelta(days=90)
    work = partial(deliveries.forget_events, holder="w", now=bench.now, keep=keep)
    assert bench.database.write(work) == 1


def test_a_removed_endpoint_takes_its_deliveries_along(bench: Bench, receiver: Receiver) -> None:
    endpoint, _ = bench.subscribe(receiver.url)
    receiver.answer = answering(500)
    bench.keep("a1")
    bench.deliver()
    bench.database.write(partial(endpoint_table.remove, identity=endpoint.id))
    assert bench.rows() == []
    again, _ = new_endpoint("crm", receiver.url, (), now=bench.now, seal=None)
    bench.database.write(partial(endpoint_table.add, endpoint=again))


@ONE_STORE
def test_the_age_of_what_waits_is_told(bench: Bench, receiver: Receiver) -> None:
    bench.subscribe(receiver.url)
    receiver.answer = answering(500)
    bench.keep("a1")
    bench.deliver()
    bench.later(seconds=3)

    async def work(deliverer: Deliverer) -> int:
        running = asyncio.create_task(deliverer.run(seconds=0.05))
        await asyncio.sleep(0.3)
        running.cancel()
        return 0

    bench.deliver(work=work)
    assert "fankui_webhook_oldest_pending_seconds 3.0" in bench.metrics.page().decode()


@ONE_STORE
def test_time_is_checked_by_receivers(bench: Bench, receiver: Receiver) -> None:
    """The reference package refuses what is five minutes off, which is why each attempt has its own time."""
    _, secret = bench.subscribe(receiver.url)
    for seconds, accepted in ((-290, True), (-310, False), (290, True), (310, False)):
        bench.later(seconds=seconds)
        bench.database.write(
            lambda c, n=seconds: events.record(c, events.Event(events.JOB_FINISHED, f"j{n}", {}, bench.now))
        )
        bench.database.write(lambda c: c.exec_driver_sql("UPDATE webhook_endpoints SET created_at = '2020-01-01'"))
        bench.deliver()
        got: Got = receiver.got[-1]
        if accepted:
            got.verified(secret)
        else:
            with pytest.raises(WebhookVerificationError):
                got.verified(secret)
        bench.later(seconds=-seconds)


@ONE_STORE
def test_a_message_that_cannot_be_made_follows_the_schedule_too(bench: Bench, receiver: Receiver) -> None:
    bench.subscribe(receiver.url)
    too_large = events.Event(events.JOB_FINISHED, "j1", {"items": 2**70}, bench.now)  # for orjson
    bench.database.write(partial(events.record, event=too_large))
    assert bench.deliver() == 1
    row = bench.row()
    assert (row.status, row.last_error, row.next_attempt_at) == (
        "pending", "internal_error", bench.now + timedelta(seconds=5),
    )  # fmt: skip
    assert receiver.got == []


@ONE_STORE
def test_a_store_that_is_away_is_told_once_and_nothing_is_sent_twice(
    bench: Bench, receiver: Receiver, store_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivering, "_ILL_SECONDS", 0.05)
    monkeypatch.setattr(delivering, "_RECORD_REST", 0.1)
    monkeypatch.setattr(delivering, "_RECORD_TRIES", 50)
    bench.subscribe(receiver.url)
    bench.keep("a1", "a2")
    impatient = open_database(store_url, timeout=0.1)
    bench.threads = StoreThreads(impatient)
    other = sqlite3.connect(store_url, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def lock_and_answer(held: Receiver, handler: BaseHTTPRequestHandler) -> None:
        with suppress(sqlite3.OperationalError):  # the first of two
            other.execute("BEGIN IMMEDIATE")
        answering(204)(held, handler)

    receiver.answer = lock_and_answer

    async def work(deliverer: Deliverer) -> int:
        running = asyncio.create_task(deliverer.run(seconds=0.02))
        await asyncio.sleep(0.6)  # nothing can be claimed
        assert receiver.got == []
        other.execute("ROLLBACK")
        await asyncio.to_thread(receiver.wait_for, 2)
        await asyncio.sleep(0.4)  # nothing can be noted
        assert [row.status for row in bench.rows()] == ["pending"] * 2
        other.execute("ROLLBACK")
        while {row.status for row in bench.rows()} != {"delivered"}:
            await asyncio.sleep(0.05)
        running.cancel()
        return 0

    bench.deliver(work=work)
    other.close()
    bench.threads.close()
    assert len(receiver.got) == 2
    assert [record.fields for record in caplog.records if record.getMessage() == "webhooks_failed"] == [  # type: ignore[attr-defined]
        {"cause": "SQLITE_BUSY"}
    ]
