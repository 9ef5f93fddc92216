"""Servers that deliver: killed between sending and noting, two workers at once, and what is in messages and logs."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import select

import fankui
from serving.store.database import open_database
from serving.store.tables import events, leases, webhook_deliveries, webhook_endpoints
from tests.webhook_receiver import Receiver, answering

CANARIES = [f"138{i:08d}" for i in range(10)]
ALLOWED = ("--webhook-http", "--webhook-network", "127.0.0.0/8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def let_time_pass(store: str) -> None:
    """As if the lease and the claims of who died had run out."""
    database = open_database(store, timeout=5)
    past = datetime.now(UTC) - timedelta(seconds=1)
    database.write(lambda connection: connection.execute(leases.update().values(held_until=past)))
    database.write(
        lambda connection: connection.execute(
            webhook_deliveries.update().where(webhook_deliveries.c.claim.is_not(None)).values(claimed_until=past)
        )
    )
    database.close()


def rows(store: str, table: Any = webhook_deliveries) -> list[Any]:
    database = open_database(store, timeout=5)
    found = database.read(lambda connection: list(connection.execute(select(table))))
    database.close()
    return found


def delivered(store: str, count: int) -> list[Any]:
    """The deliveries, once that many are done."""
    deadline = time.monotonic() + 30
    while sum(row.status == "delivered" for row in rows(store)) < count:
        assert time.monotonic() < deadline, Counter((row.status, row.last_error) for row in rows(store))
        time.sleep(0.1)
    return rows(store)


def test_a_kill_between_sending_and_noting_repeats_the_message_with_its_id(
    start_server: Callable[..., Any],
    linear_bundle: Path,
    store_url: str,
    receiver: Receiver,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add = ["webhooks", "add", "crm", receiver.url + "?token=hush", "--allow-http", "--store", store_url]
    assert fankui.run(add) == 0
    secret = capsys.readouterr().out.strip()
    receiver.answer = lambda held, _: held.release.wait(30) and None
    options = ("--model", str(linear_bundle), "--store", store_url, *ALLOWED)
    first = start_server(*options)
    posted = httpx.post(f"{first.url}/v1/feedback", json={"text": "快递三天没到", "id": "a1"}, timeout=10)
    assert posted.status_code == 201
    receiver.wait_for(1)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    (row,) = rows(store_url)
    assert (row.status, row.attempts, row.last_attempt_at) == ("pending", 1, None)
    let_time_pass(store_url)

    receiver.answer = answering(204)
    receiver.release.set()
    second = start_server(*options, "--workers", "2", "--cache", "0")
    receiver.wait_for(2)
    (row,) = delivered(store_url, 1)
    assert row.attempts == 2
    before, after = receiver.got
    assert before.headers["webhook-id"] == after.headers["webhook-id"]
    assert before.body == after.body
    for got in (before, after):
        assert got.verified(secret)["data"]["feedback_id"] == "a1"

    # From here on two workers: each message once, and nothing in it that a customer wrote.
    with httpx.Client(base_url=second.url, timeout=10) as client:
        for i, phone in enumerate(CANARIES):
            body = {
                "text": f"电话{phone}快联系我",
                "id": f"b{i}",
                "customer_ref": phone,
                "channel": phone,
                "metadata": {phone: phone, "tier": phone},
            }
            assert client.post("/v1/feedback", json=body).status_code == 201
            note = {"task": "urgency", "label": "high", "by": "li", "why": phone}
            assert client.post(f"/v1/feedback/b{i}/corrections", json=note).status_code == 201
            change = {"status": "in_progress", "by": "li", "assignee": "wang", "note": phone}
            assert client.post(f"/v1/feedback/b{i}/status", json=change).status_code in (200, 201)
            assert client.delete(f"/v1/feedback/b{i}").status_code == 204
        moved = sum(event.type == "feedback.rerouted" for event in rows(store_url, events))
        delivered(store_url, 1 + 4 * len(CANARIES) + moved)
        figures = client.get("/metrics").text
        listed = client.get("/v1/webhooks").text
    ids = Counter(got.headers["webhook-id"] for got in receiver.got[2:])
    assert len(ids) == 40 + moved
    assert max(ids.values()) == 1
    kinds = Counter(got.verified(secret)["type"] for got in receiver.got[2:])
    names = ("routed", "corrected", "status_changed", "erased")
    assert moved > 0
    assert kinds == Counter({f"feedback.{name}": 10 for name in names} | {"feedback.rerouted": moved})
    assert receiver.most_at_once <= 4
    second.process.terminate()
    assert second.process.wait(20) == 0
    told = [got.body.decode() + str(got.headers) for got in receiver.got]
    logs = [server.log.read_text(encoding="utf-8") for server in (first, second)]
    for canary in (*CANARIES, "快递", "联系", "快联"):
        assert not any(canary in text for text in (*told, *logs, figures))
    for canary in (secret, secret.removeprefix("whsec_"), "hush"):
        assert not any(canary in text for text in (*logs, figures))
    assert secret.removeprefix("whsec_") not in listed
    assert 'outcome="delivered"' in figures
    (endpoint,) = rows(store_url, webhook_endpoints)
    assert endpoint.failures == 0


def test_a_server_does_not_reach_its_own_network_unless_it_may(
    start_server: Callable[..., Any], linear_bundle: Path, tmp_path: Path, receiver: Receiver
) -> None:
    store = str(tmp_path / "store.db")
    assert fankui.run(["webhooks", "add", "crm", receiver.url, "--allow-http", "--store", store]) == 0
    server = start_server("--model", str(linear_bundle), "--store", store, "--webhook-http")
    assert httpx.post(f"{server.url}/v1/feedback", json={"text": "快递三天没到"}, timeout=10).status_code == 201
    deadline = time.monotonic() + 15
    while not [row for row in rows(store) if row.last_error]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (row,) = rows(store)
    assert (row.status, row.last_error, receiver.got) == ("pending", "address_refused", [])
    (told,) = [line for line in server.logged() if line["event"] == "webhook_failed"]
    assert (told["cause"], told["webhook"], told["attempt"]) == ("address_refused", row.endpoint_id, 1)
