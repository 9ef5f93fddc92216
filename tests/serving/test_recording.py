"""What may come between the claim of a key and the commit."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from models.predictor import BundlePredictor
from serving.store.database import StoreError
from serving.store.tables import feedback, idempotency_keys

BODY = {"text": "快递太慢了"}
KEY = {"Idempotency-Key": "k"}


@pytest.fixture
def app(make_app: Callable[..., FastAPI], tmp_path: Path) -> FastAPI:
    return make_app(store=str(tmp_path / "store.db"), cache=0, store_timeout=0.3, request_timeout=5.0)


def rows(app: FastAPI, table: Any) -> list[Any]:
    found: list[Any] = app.state.keeper.threads.database.read(lambda c: list(c.execute(select(table))))
    return found


def during_the_first_pass(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> list[int]:
    """Do something between claim and commit, once; counts the passes."""
    passes: list[int] = []
    original = BundlePredictor.columns

    def columns(self: BundlePredictor, prepared: Any) -> Any:
        passes.append(len(prepared))
        if len(passes) == 1:
            work()
        return original(self, prepared)

    monkeypatch.setattr(BundlePredictor, "columns", columns)
    return passes


def test_a_commit_that_fails_keeps_nothing_and_blocks_nobody(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    during_the_first_pass(monkeypatch, lambda: other.execute("BEGIN IMMEDIATE") and None)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        refused = client.post("/v1/feedback", json=BODY, headers=KEY)
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert len(rows(app, idempotency_keys)) == 1  # it could not be given back
        other.execute("ROLLBACK")
        other.close()
        started = time.monotonic()
        assert client.post("/v1/feedback", json=BODY, headers=KEY).status_code == 201
        assert time.monotonic() - started < 2  # and not after the claim's 10 seconds
        assert len(rows(app, feedback)) == 1


def test_claims_that_could_not_be_given_back_are_given_back_later(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    during_the_first_pass(monkeypatch, lambda: other.execute("BEGIN IMMEDIATE") and None)
    client = TestClient(app, base_url="http://127.0.0.1")
    assert client.post("/v1/feedback", json=BODY, headers=KEY).status_code == 503
    other.execute("ROLLBACK")
    other.close()
    asyncio.run(app.state.keeper.look())
    assert rows(app, idempotency_keys) == []


def test_a_claim_that_was_lost_stores_nothing(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose() -> None:
        lost = {"claim": "another", "claimed_until": datetime.now(UTC) - timedelta(seconds=1)}
        app.state.keeper.threads.database.write(lambda c: c.execute(idempotency_keys.update().values(**lost)) and None)

    passes = during_the_first_pass(monkeypatch, lose)
    client = TestClient(app, base_url="http://127.0.0.1")
    answer = client.post("/v1/feedback", json=BODY, headers=KEY)
    assert answer.status_code == 201
    assert passes == [1, 1]
    assert [row.id for row in rows(app, feedback)] == [answer.json()["id"]]


def test_a_store_that_hangs_holds_up_nothing_else(app: FastAPI, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    statuses: list[int] = []
    slowest: list[float] = []
    with TestClient(app, base_url="http://127.0.0.1") as client:
        threads = [
            threading.Thread(target=lambda i=i: statuses.append(
                client.post("/v1/feedback", json=BODY, headers={"Idempotency-Key": f"k{i}"}).status_code)
            )
            for i in range(20)
        ]  # fmt: skip
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for _ in range(10):
            started = time.monotonic()
            assert client.post("/v1/classify", json=BODY).status_code == 200
            assert client.get("/v1/feedback").status_code == 200
            slowest.append(time.monotonic() - started)
        for thread in threads:
            thread.join()
        # Each waits 0.3 s at the most for its turn and 0.3 s for the lock, not one after the other.
        assert time.monotonic() - began < 2
        other.execute("ROLLBACK")
        other.close()
    assert statuses == [503] * 20
    assert sorted(slowest)[5] < 0.2


def test_the_clock_tells_a_failure_once_and_goes_on(
    app: FastAPI, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keeper = app.state.keeper
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        asyncio.run(keeper.look())
    with pytest.raises(StoreError):
        asyncio.run(keeper.check())
    other.execute("ROLLBACK")
    other.close()
    asyncio.run(keeper.check())
    old = {**BODY, "created_at": "2020-01-01T00:00:00Z"}
    TestClient(app, base_url="http://127.0.0.1").post("/v1/feedback", json=old)
    asyncio.run(keeper.look())
    events = [record.getMessage() for record in caplog.records]
    assert events.count("clock_failed") == 1
    assert [record.fields for record in caplog.records if record.getMessage() == "clock"] == [{"comments": 4}]  # type: ignore[attr-defined]
    (row,) = rows(app, feedback)
    assert row.escalation == 3
