"""Erasing over HTTP, on both databases: gone from answers, lists, files and the database's own files."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from starlette.testclient import TestClient

from pipeline.errors import ConfigError
from serving.settings import ServeSettings
from serving.store import tables
from serving.store.database import open_database

WORDS = "独一无二的抱怨"  # in the text, which is kept masked


@pytest.fixture
def app(make_app: Callable[..., FastAPI], store_url: str) -> FastAPI:
    return make_app(store=store_url)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1")


def post(client: Any, id: str, customer: str | None = "c1", key: str | None = None) -> httpx.Response:  # noqa: A002
    body = {"text": f"{WORDS}，快递太慢", "id": id, "customer_ref": customer, "metadata": {"order": WORDS}}
    headers = {} if key is None else {"Idempotency-Key": key}
    answer: httpx.Response = client.post("/v1/feedback", json=body, headers=headers)
    return answer


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


GONE = (410, "feedback_erased")


def test_one_comment(client: TestClient) -> None:
    assert post(client, "a1", key="k").status_code == 201
    note = {"task": "urgency", "label": "high", "by": "li", "why": WORDS}
    assert client.post("/v1/feedback/a1/corrections", json=note).status_code == 201
    erased = client.delete("/v1/feedback/a1")
    assert (erased.status_code, erased.content) == (204, b"")
    assert code(client.delete("/v1/feedback/a1")) == GONE
    assert code(client.get("/v1/feedback/a1")) == GONE
    assert code(client.post("/v1/feedback/a1/corrections", json=note)) == GONE
    assert code(client.post("/v1/feedback/a1/status", json={"status": "resolved", "by": "li"})) == GONE
    # Whoever tries again does not bring it back.
    assert code(post(client, "a1", key="k")) == GONE
    assert code(post(client, "a1", key="k2")) == GONE
    assert code(post(client, "a1")) == GONE
    assert code(client.delete("/v1/feedback/none")) == (404, "feedback_unknown")
    assert client.get("/v1/feedback").json()["items"] == []
    for query in ("format=csv", "format=jsonl", "format=jsonl&corrected=true"):
        assert "a1" not in client.get(f"/v1/export?{query}").text
    assert 'fankui_feedback_total{outcome="erased"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize("customer", ["c1", "13900139000"])
def test_all_of_a_customer(client: TestClient, customer: str) -> None:
    for i in range(3):
        post(client, f"a{i}", customer)
    post(client, "b", "c2")
    post(client, "c", None)
    assert client.post("/v1/erasures", json={"customer_ref": customer}).json() == {"erased": 3}
    assert client.post("/v1/erasures", json={"customer_ref": customer}).json() == {"erased": 0}
    assert [item["id"] for item in client.get("/v1/feedback").json()["items"]] == ["c", "b"]
    assert code(client.get("/v1/feedback/a2")) == GONE


@pytest.mark.parametrize("body", [{}, {"customer_ref": ""}, {"customer_ref": None}, {"customer_ref": "c", "x": 1}, []])
def test_bodies_that_say_nothing_erase_nothing(client: TestClient, body: Any) -> None:
    post(client, "a", None)
    assert code(client.post("/v1/erasures", json=body)) == (422, "invalid_body")
    assert client.get("/v1/feedback/a").status_code == 200


def test_no_file_of_the_database_holds_it_any_more(make_client: Callable[..., TestClient], tmp_path: Path) -> None:
    client = make_client(store=str(tmp_path / "store.db"))
    long = {"text": WORDS * 200, "id": "long", "customer_ref": "客户甲乙丙", "metadata": {"order": WORDS * 500}}
    assert client.post("/v1/feedback", json=long).status_code == 201
    for i in range(20):
        post(client, f"a{i}", "客户甲乙丙")

    def bytes_of_all() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))

    assert WORDS.encode() in bytes_of_all()
    assert client.post("/v1/erasures", json={"customer_ref": "客户甲乙丙"}).json() == {"erased": 21}
    assert WORDS.encode() not in bytes_of_all()
    assert "客户甲乙丙".encode() not in bytes_of_all()


def test_retention_in_two_workers(start_server: Callable[..., Any], linear_bundle: Path, store_url: str) -> None:
    options = ("--model", str(linear_bundle), "--store", store_url)
    server = start_server(*options)
    with httpx.Client(base_url=server.url) as client:
        for i in range(5):
            assert post(client, f"a{i}").status_code == 201
    server.process.terminate()
    server.process.wait(20)
    database = open_database(store_url, timeout=5)
    old = datetime.now(UTC) - timedelta(days=31)
    aged = update(tables.feedback).where(tables.feedback.c.id != "a4").values(received_at=old)
    database.write(lambda connection: connection.execute(aged))
    server = start_server(*options, "--keep-days", "30", "--workers", "2")
    rows: list[Any] = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and sum(row.text == "" for row in rows) < 4:
        time.sleep(0.2)
        rows = database.read(lambda connection: list(connection.execute(select(tables.feedback))))
    assert {row.id: row.text == "" for row in rows} == {"a0": True, "a1": True, "a2": True, "a3": True, "a4": False}
    assert all(row.prediction["labels"] for row in rows)
    kinds = select(tables.events.c.subject).where(tables.events.c.type == "feedback.erased")
    told = database.read(lambda connection: sorted(connection.scalars(kinds)))
    assert told == ["a0", "a1", "a2", "a3"]
    database.close()
    server.process.terminate()
    server.process.wait(20)
    assert [event["comments"] for event in server.logged() if event["event"] == "retention"] == [4]


def test_days_to_keep_need_a_store() -> None:
    with pytest.raises(ConfigError, match=r"^--keep-days erases what a store holds; give --store too$"):
        ServeSettings(keep_days=30)
