"""A server whose store is killed, locked, cut off or torn: nothing that it acknowledged is lost."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest
from sqlalchemy import select

from serving.store import records
from serving.store.database import open_database
from serving.store.migrating import upgrade
from serving.store.records import NewFeedback
from serving.store.tables import events, feedback, idempotency_keys
from tests.postgresql import PostgresqlServer
from tests.stored_comments import scored_comment

TEXTS = ("快递三天没到", "充电宝冒烟了", "客服一直不回", "很好用", "退款半个月没到账")


def post(server: Any, body: dict[str, Any], key: str | None = None, *, timeout: float = 10) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return httpx.post(f"{server.url}/v1/feedback", json=body, headers=headers, timeout=timeout)


class Clients:
    """Clients that post as fast as they can and note what was acknowledged."""

    def __init__(self, server: Any, number: int) -> None:
        self.server, self.number = server, number
        self.acknowledged: dict[str, str] = {}  # key -> id
        self.unanswered: list[str] = []
        self.wrong: list[int] = []
        self.began = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(4)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self, client: int) -> None:
        with httpx.Client(base_url=self.server.url, timeout=10) as session:
            for i in range(10_000):
                key = f"{self.number}-{client}-{i}"
                try:
                    answer = session.post("/v1/feedback", json=comment(key), headers={"Idempotency-Key": key})
                except httpx.HTTPError:
                    self.unanswered.append(key)
                    return
                if answer.status_code == 201:
                    self.acknowledged[key] = answer.json()["id"]
                    self.began.set()
                else:
                    self.wrong.append(answer.status_code)


def comment(key: str) -> dict[str, Any]:
    return {"text": f"{TEXTS[sum(map(ord, key)) % 5]}，单号{key}", "metadata": {"key": key}}


def rows(store: str, table: Any) -> list[Any]:
    database = open_database(store, timeout=10)
    found = database.read(lambda connection: list(connection.execute(select(table))))
    database.close()
    return found


def kill_all(process: "subprocess.Popen[bytes]") -> None:
    """At once, and the workers with it: none has time to end in order."""
    everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in everyone:
        one.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(everyone, timeout=10)


def survive(start_server: Callable[..., Any], bundle: Path, store: str, *, rounds: int, seed: int) -> None:
    """Every second round with two workers."""
    chance = random.Random(seed)
    acknowledged: dict[str, str] = {}
    open_keys: list[str] = []
    for number in range(rounds):
        workers = str(1 + number % 2)
        options = ("--model", str(bundle), "--store", store, "--request-timeout", "5", "--workers", workers)
        server = start_server(*options)
        with Clients(server, number) as clients:
            assert clients.began.wait(20)
            time.sleep(chance.uniform(0.0, 0.2))
            kill_all(server.process)
        assert clients.wrong == []
        acknowledged |= clients.acknowledged
        open_keys += clients.unanswered
    kept = {row.id: row for row in rows(store, feedback)}
    assert set(acknowledged.values()) <= set(kept)
    twice = Counter(row.metadata["key"] for row in kept.values())
    assert max(twice.values()) == 1
    assert set(twice) <= set(acknowledged) | set(open_keys)
    routed = Counter(event.subject for event in rows(store, events) if event.type == "feedback.routed")
    assert routed == Counter(dict.fromkeys(kept, 1))
    # Who sends again what was never answered gets one comment, be it of before or of now.
    server = start_server("--model", str(bundle), "--store", store)
    time.sleep(max(0.0, max(row.claimed_until.timestamp() for row in rows(store, idempotency_keys)) - time.time()))
    for key in (*open_keys[-8:], *chance.sample(sorted(acknowledged), 4)):
        answer = post(server, comment(key), key)
        assert answer.status_code == 201
        assert acknowledged.get(key, answer.json()["id"]) == answer.json()["id"]
    again = Counter(row.metadata["key"] for row in rows(store, feedback))
    assert max(again.values()) == 1
    if "://" not in store:
        with sqlite3.connect(store) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    server.process.terminate()
    assert server.process.wait(20) in (0, -signal.SIGTERM)


def test_nothing_acknowledged_is_lost_in_a_kill(
    start_server: Callable[..., Any], linear_bundle: Path, store_url: str
) -> None:
    survive(start_server, linear_bundle, store_url, rounds=3, seed=int(os.environ.get("FANKUI_SEED", "1")))


@pytest.mark.load
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_in_200_kills(
    start_server: Callable[..., Any], linear_bundle: Path, store_url: str
) -> None:
    survive(start_server, linear_bundle, store_url, rounds=200, seed=int(os.environ.get("FANKUI_SEED", "2")))


@pytest.fixture
def filled(tmp_path: Path, make_new: Callable[..., NewFeedback]) -> Iterator[Path]:
    """A store with 60 comments, all of them in its log still, in the state in which a kill would leave it."""
    database = open_database(str(tmp_path / "store.db"), timeout=5)
    upgrade(database)
    database.close()
    held = sqlite3.connect(tmp_path / "store.db")
    held.execute("SELECT count(*) FROM feedback").fetchone()  # while one reads, closing does not empty the log
    held.execute("BEGIN")
    held.execute("SELECT count(*) FROM feedback").fetchone()
    database = open_database(str(tmp_path / "store.db"), timeout=5)
    for i in range(60):
        database.write(lambda connection, i=i: records.store(connection, make_new(f"{i:03}")))
    yield tmp_path / "store.db"
    database.close()
    held.close()


def test_a_torn_log_opens_to_what_was_first(filled: Path, tmp_path: Path) -> None:
    chance = random.Random(int(os.environ.get("FANKUI_SEED", "3")))
    log = filled.with_name("store.db-wal").read_bytes()
    assert len(log) > 100_000
    lengths = set()
    for number in range(500):
        copy = tmp_path / f"torn{number % 2}.db"
        for old in tmp_path.glob(f"{copy.name}*"):
            old.unlink()
        shutil.copyfile(filled, copy)
        at = chance.randrange(len(log))
        torn = log[:at] if number % 2 else log[:at] + bytes([log[at] ^ (1 << chance.randrange(8))]) + log[at + 1 :]
        copy.with_name(copy.name + "-wal").write_bytes(torn)
        connection = sqlite3.connect(copy)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = [row[0] for row in connection.execute("SELECT id FROM feedback ORDER BY id")]
        told = [row[0] for row in connection.execute("SELECT subject FROM events ORDER BY subject")]
        connection.close()
        assert found == told == [f"{i:03}" for i in range(len(found))]
        lengths.add(len(found))
    assert len(lengths) > 30
    database = open_database(str(tmp_path / "torn0.db"), timeout=5)
    upgrade(database)
    database.close()


@pytest.fixture
def make_new(schema: Any) -> Callable[..., NewFeedback]:
    return partial(scored_comment, schema=schema)


def recovers(server: Any, body: dict[str, Any]) -> None:
    deadline = time.monotonic() + 20
    while (answer := post(server, body, "k")).status_code != 201:
        assert (answer.status_code, answer.json()["code"]) in (
            (503, "store_unavailable"),
            (409, "idempotency_in_flight"),
        )
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert httpx.get(f"{server.url}/v1/feedback/{body['id']}").status_code == 200
    assert httpx.get(f"{server.url}/health/ready").status_code == 200


def refuses(server: Any) -> None:
    body = {"text": "快递太慢了", "id": "a1"}
    for key in ("k", None):
        answer = post(server, body, key)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert answer.headers["Retry-After"] == "2"
    assert httpx.get(f"{server.url}/health/ready", timeout=10).status_code == 503
    # Classifying needs no store.
    assert httpx.post(f"{server.url}/v1/classify", json={"text": "快递太慢了"}).status_code == 200
    page = httpx.get(f"{server.url}/metrics").text
    assert "fankui_store_failures_total{" in page
    assert "快递" not in server.log.read_text(encoding="utf-8")


def test_a_locked_database_is_503_until_it_is_free(
    start_server: Callable[..., Any], linear_bundle: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    server = start_server("--model", str(linear_bundle), "--store", str(store), "--store-timeout", "0.3")
    other = sqlite3.connect(store, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refuses(server)
    other.execute("ROLLBACK")
    other.close()
    recovers(server, {"text": "快递太慢了", "id": "a1"})


def test_a_postgresql_that_is_gone_is_503_until_it_is_back(
    start_server: Callable[..., Any], linear_bundle: Path, postgresql: PostgresqlServer
) -> None:
    store = postgresql.new_database()
    server = start_server("--model", str(linear_bundle), "--store", store, "--store-timeout", "1")
    assert post(server, {"text": "快递太慢了", "id": "a0"}).status_code == 201
    postgresql.stop()
    try:
        refuses(server)
    finally:
        postgresql.start()
    recovers(server, {"text": "快递太慢了", "id": "a1"})
    assert httpx.get(f"{server.url}/v1/feedback/a0").status_code == 200


def test_a_claim_blocks_until_its_time_is_over_though_its_holder_died(
    start_server: Callable[..., Any], linear_bundle: Path, store_url: str
) -> None:
    server = start_server("--model", str(linear_bundle), "--store", store_url, "--request-timeout", "8")
    first = post(server, {"text": "快递太慢了"}, "k")
    database = open_database(store_url, timeout=5)
    dead = {"status": None, "claim": "dead", "claimed_until": datetime.now(UTC) + timedelta(seconds=2)}
    database.write(lambda connection: connection.execute(idempotency_keys.update().values(**dead)))
    database.close()
    started = time.monotonic()
    second = post(server, {"text": "快递太慢了"}, "k")
    assert 1 < time.monotonic() - started < 6
    assert (second.status_code, "Idempotent-Replayed" in second.headers) == (201, False)
    assert second.json()["id"] != first.json()["id"]
