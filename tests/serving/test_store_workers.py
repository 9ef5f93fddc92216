"""Several workers with one store: keys, leases and events hold for all of them."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import select

from serving.store.database import open_database
from serving.store.tables import events, feedback, leases


@pytest.fixture
def server(start_server: Callable[..., Any], linear_bundle: Path, store_url: str, tmp_path: Path) -> Any:
    options = ("--model", str(linear_bundle), "--workers", "2", "--cache", "0", "--store", store_url)
    return start_server(*options, TMPDIR=str(tmp_path))


def rows(store: str, table: Any) -> list[Any]:
    database = open_database(store, timeout=10)
    found = database.read(lambda connection: list(connection.execute(select(table))))
    database.close()
    return found


def figure(server: Any, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def at_once(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_keys_and_events_are_shared(server: Any, store_url: str) -> None:
    answers: list[httpx.Response] = []

    def post(key: str, **body: Any) -> None:
        headers = {"Idempotency-Key": key}
        answers.append(
            httpx.post(f"{server.url}/v1/feedback", json={"text": "快递太慢了", **body}, headers=headers, timeout=30)
        )

    at_once(50, lambda _: post("k"))  # each on a connection of its own, which the kernel gives to either worker
    assert Counter(answer.status_code for answer in answers) == {201: 50}
    assert len({answer.content for answer in answers}) == 1
    assert len(rows(store_url, feedback)) == 1
    assert figure(server, "fankui_comments_total") == 1  # one forward pass
    assert figure(server, 'fankui_feedback_total{outcome="replayed"}') == 49

    # Written long ago and overdue at once: whichever worker looks, each is told once.
    old = "2020-01-01T00:00:00Z"
    at_once(20, lambda i: post(f"old{i}", id=f"old{i}", created_at=old))
    deadline = time.monotonic() + 25
    while time.monotonic() < deadline:
        told = Counter((event.type, event.subject) for event in rows(store_url, events))
        if sum(kind == "feedback.escalated" for kind, _ in told.elements()) == 60:
            break
        time.sleep(0.2)
    for i in range(20):
        subject = f"old{i}"
        assert told["feedback.routed", subject] == told["feedback.overdue", subject] == 1
        assert told["feedback.escalated", subject] == 3
    held = {lease.name: lease.term for lease in rows(store_url, leases)}
    assert held["clock"] == 1
    assert set(held.values()) == {1}
    assert [event for event in server.logged() if event["level"] == "error"] == []
    server.process.terminate()
    assert server.process.wait(20) == 0
