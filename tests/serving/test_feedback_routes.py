"""/v1/feedback over HTTP, on both databases."""

import csv
import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from starlette.testclient import TestClient

from models.predictor import BundlePredictor
from pipeline.columns import read_examples
from serving.store import tables
from serving.store.redaction import LONGEST

Client = TestClient


@pytest.fixture
def app(make_app: Callable[..., FastAPI], store_url: str) -> FastAPI:
    return make_app(store=store_url, cache=0, request_timeout=3.0)


@pytest.fixture
def client(app: FastAPI) -> Client:
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Comments of every forward pass."""
    counted: list[int] = []
    original = BundlePredictor.columns

    def columns(self: BundlePredictor, prepared: Any) -> Any:
        counted.append(len(prepared))
        return original(self, prepared)

    monkeypatch.setattr(BundlePredictor, "columns", columns)
    return counted


def post(client: Client, body: Any, key: str | None = None) -> httpx.Response:
    return client.post("/v1/feedback", json=body, headers={} if key is None else {"Idempotency-Key": key})


def count(app: FastAPI, table: Any) -> int:
    found: int = app.state.keeper.threads.database.read(
        lambda connection: connection.scalar(select(func.count()).select_from(table))
    )
    return found


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_a_comment_is_kept_and_found_under_its_location(client: Client) -> None:
    body = {
        "text": "电热毯冒烟了！打13800138000找我",
        "id": "工单-7",
        "channel": "hotline",
        "customer_ref": "13900139000",
        "created_at": "2026-03-01T09:30:00",
        "metadata": {"phone": "13700137000", "n": 13600136000, "tier": "gold", "order": "A-1"},
    }
    answer = post(client, body)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/v1/feedback/%E5%B7%A5%E5%8D%95-7"
    assert "Idempotent-Replayed" not in answer.headers
    assert set(answer.json()) == {
        "id", "status", "received_at", "result", "signals", "model_version", "schema_version"
    }  # fmt: skip
    found = client.get(answer.headers["Location"]).json()
    assert found["text"] == "电热毯冒烟了!打[手机号]找我"
    assert re.fullmatch(r"\[手机号\][0-9a-f]{16}", found["customer_ref"])
    assert found["metadata"] == {"phone": "[手机号]", "n": "[手机号]", "tier": "gold", "order": "A-1"}
    assert (found["tier"], found["channel"], found["status"]) == ("gold", "hotline", "new")
    assert found["created_at"] == "2026-03-01T01:30:00+00:00"  # in the policy's time zone
    assert found["result"] == answer.json()["result"]
    assert [(entry["status"], entry["by"]) for entry in found["history"]] == [("new", "server")]
    assert [item["id"] for item in client.get("/v1/feedback?customer_ref=13900139000").json()["items"]] == ["工单-7"]


def test_the_decision_is_the_one_of_classify(client: Client) -> None:
    body = {"text": "充电宝半夜冒烟", "created_at": "2026-03-01T09:30:00+08:00"}
    kept = post(client, body).json()["result"]
    plain = client.post("/v1/classify", json=body).json()["results"][0]
    assert {**kept, "id": ""} == plain


def test_the_same_key_gives_the_same_answer_again(app: FastAPI, client: Client, passes: list[int]) -> None:
    body = {"text": "快递太慢了", "metadata": {"a": 1, "b": 2}}
    first = post(client, body, "k1")
    again = client.post(
        "/v1/feedback",
        content=b'{"metadata": {"b": 2, "a": 1}, "text": "\\u5feb\\u9012\\u592a\\u6162\\u4e86"}',
        headers={"Idempotency-Key": '"k1"', "Content-Type": "application/json"},  # as the draft writes it
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert code(post(client, {"text": "别的"}, "k1")) == (422, "idempotency_mismatch")
    assert (count(app, tables.feedback), count(app, tables.events), sum(passes)) == (1, 1, 1)
    assert post(client, body, "k2").json()["id"] != first.json()["id"]


def test_fifty_at_once_with_one_key_are_one_comment_and_one_pass(
    app: FastAPI, client: Client, passes: list[int]
) -> None:
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(post(client, {"text": "快递太慢了"}, "k"))) for _ in range(50)
    ]
    with client:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 49
        assert (count(app, tables.feedback), sum(passes)) == (1, 1)


def test_what_is_under_way_too_long_is_409(app: FastAPI, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    original = BundlePredictor.columns
    monkeypatch.setattr(BundlePredictor, "columns", lambda *a: go.wait(20) and original(*a))
    app.state.engine.settings = replace(
        app.state.engine.settings, request_timeout=10.0
    )  # of the pass; 3 s to wait for the key
    with client:
        first: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: first.append(post(client, {"text": "快递太慢了"}, "k")))
        thread.start()
        while not count(app, tables.idempotency_keys):
            pass
        refused = post(client, {"text": "快递太慢了"}, "k")
        assert code(refused) == (409, "idempotency_in_flight")
        assert refused.headers["Retry-After"] == "1"
        go.set()
        thread.join()
        assert first[0].status_code == 201
        assert post(client, {"text": "快递太慢了"}, "k").content == first[0].content


def test_an_error_gives_the_key_back(app: FastAPI, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code(post(client, {"text": "\u200b"}, "k")) == (422, "empty_text")
    with monkeypatch.context() as patch:
        patch.setattr(BundlePredictor, "columns", lambda *_: 1 / 0)
        assert code(post(client, {"text": "快递太慢了"}, "k")) == (503, "model_failed")
    assert count(app, tables.idempotency_keys) == 0
    assert post(client, {"text": "快递太慢了"}, "k").status_code == 201


@pytest.mark.parametrize("key", ["k" * 256, "", '""', "钥匙".encode(), b"a\tb", b"\xff"])
def test_keys_that_are_none(client: Client, key: Any) -> None:
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    response = client.post("/v1/feedback", content=b'{"text": "a"}', headers=headers)
    assert code(response) == (400, "idempotency_key_invalid")
    assert post(client, {"text": "好"}, "k" * 255).status_code == 201


def test_an_id_is_kept_once(app: FastAPI, client: Client, passes: list[int]) -> None:
    body = {"text": "快递太慢了", "id": "a1"}
    first, again, with_key = post(client, body), post(client, body), post(client, body, "k")
    assert [answer.status_code for answer in (first, again, with_key)] == [201, 200, 200]
    assert first.content == again.content == with_key.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == "/v1/feedback/a1"
    assert code(post(client, {**body, "text": "别的"})) == (409, "feedback_exists")
    assert code(post(client, {**body, "text": "别的"}, "k2")) == (409, "feedback_exists")
    assert (count(app, tables.feedback), sum(passes)) == (1, 1)


def test_an_id_that_comes_twice_at_the_same_moment_is_kept_once(app: FastAPI, client: Client) -> None:
    answers: list[httpx.Response] = []
    body = {"text": "快递太慢了", "id": "a1"}
    threads = [
        threading.Thread(target=lambda i=i: answers.append(post(client, body, f"k{i}" if i % 2 else None)))
        for i in range(20)
    ]
    with client:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
        assert len({answer.content for answer in answers}) == 1
        assert count(app, tables.feedback) == 1


@pytest.mark.parametrize("id_", ["a/b", "..", ".", "", "a b", "x" * 201, "a\nb", "a?"])
def test_ids_that_no_path_can_have(client: Client, id_: str) -> None:
    assert code(post(client, {"text": "好", "id": id_})) == (422, "invalid_item")


def test_deep_large_and_odd_metadata(client: Client) -> None:
    deep: Any = "13800138000"
    for _ in range(60):
        deep = [deep]
    metadata = {"deep": deep, "large": "好" * 100_000, "number": 10**250, "ratio": -1e300, "": [{}]}
    assert post(client, {"text": "好", "id": "a1", "metadata": metadata}).status_code == 201
    found = client.get("/v1/feedback/a1").json()["metadata"]
    assert {**found, "deep": 0} == {**metadata, "deep": 0}
    assert json.dumps(found["deep"], ensure_ascii=False) == "[" * 60 + '"[手机号]"' + "]" * 60
    assert code(post(client, {"text": "好", "metadata": {"deep": [[[deep]]]}})) == (422, "invalid_body")
    for depth in (900, 100_000):
        content = b'{"text": "a", "metadata": {"a": ' + b"[" * depth + b"]" * depth + b"}}"
        headers = {"Content-Type": "application/json"}
        assert client.post("/v1/feedback", content=content, headers=headers).status_code in (400, 422)


def test_repeats_are_told_and_reach_the_decision(client: Client) -> None:
    def send(text: str, ref: str | None = "c1") -> Any:
        return post(client, {"text": text, **({"customer_ref": ref} if ref else {})}).json()

    first = send("快递三天没到，客服也不回")
    assert first["signals"] == {"contacts": 0, "duplicate_of": None, "similarity": None}
    assert first["result"]["flags"] == []
    again = send("快递五天没到，客服也不回")
    assert again["signals"]["contacts"] == 1
    assert again["signals"]["duplicate_of"] is None
    assert again["result"]["flags"] == ["repeat_contact"]
    same = send("快递三天没到，客服也不回！！！")
    assert same["signals"] == {"contacts": 2, "duplicate_of": first["id"], "similarity": 1.0}
    assert same["result"]["decision"]["reasons"][-2:] == ["repeat_contact", "near_duplicate"]
    assert send("快递三天没到，客服也不回", "c2")["signals"]["contacts"] == 0
    assert send("快递三天没到，客服也不回", None)["signals"]["contacts"] == 0


def test_lists(client: Client) -> None:
    for i in range(7):
        post(client, {"text": "快递太慢了", "id": f"a{i}", "channel": "app" if i % 2 else "shop"})
    found: list[str] = []
    cursor = ""
    while True:
        answer = client.get(f"/v1/feedback?limit=3{cursor}").json()
        found += [item["id"] for item in answer["items"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert found == [f"a{i}" for i in reversed(range(7))]
    assert [item["id"] for item in client.get("/v1/feedback?channel=app").json()["items"]] == ["a5", "a3", "a1"]
    received = client.get("/v1/feedback/a3").json()["received_at"]
    params = {"received_from": received}
    assert [item["id"] for item in client.get("/v1/feedback", params=params).json()["items"]] == [
        "a6",
        "a5",
        "a4",
        "a3",
    ]
    later = (datetime.fromisoformat(received) + timedelta(hours=9)).isoformat()
    assert client.get("/v1/feedback", params={"received_from": later}).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=W10",
        "cursor=%FF",
        "limit=0",
        "limit=201",
        "status=gone",
        "received_from=1700000000",
        "queue=%00",
        "prioirty=1",
        "status=new&Status=new",
    ],
)
def test_queries_that_are_refused(client: Client, query: str) -> None:
    assert client.get(f"/v1/feedback?{query}").status_code == 422


@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/feedback/a1", "/v1/export", "/v1/jobs", "/v1/alerts"])
def test_a_misspelt_filter_does_not_let_everything_pass(client: Client, path: str) -> None:
    post(client, {"text": "快递太慢了", "id": "a1"})
    answer = client.get(f"{path}?custmer_ref=13812345678")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_item")
    assert answer.json()["detail"].startswith("expected ")
    assert "custmer" not in answer.text
    # The request's own number is 32 digits by chance; one in a hundred holds these three.
    assert "138" not in answer.text.replace(answer.json()["request_id"], "")
    assert client.delete("/v1/feedback/a1?dry_run=true").status_code == 422
    assert client.get("/v1/feedback/a1").status_code == 200


def test_corrections(client: Client) -> None:
    post(client, {"text": "快递太慢了", "id": "a1"})

    def correct(task: str, label: Any, **more: Any) -> httpx.Response:
        return client.post("/v1/feedback/a1/corrections", json={"task": task, "label": label, "by": "li", **more})

    first = correct("urgency", "紧急", why="客户电话13800138000说起火了")
    assert first.status_code == 201
    assert first.headers["Location"] == "/v1/feedback/a1"
    assert {**first.json(), "id": "", "created_at": ""} == {
        "id": "", "task": "urgency", "label": "critical", "by": "li", "why": "客户电话[手机号]说起火了",
        "created_at": "",
    }  # fmt: skip
    again = correct("urgency", "critical", why="客户电话13800138000说起火了")
    assert (again.status_code, again.json()) == (200, first.json())
    assert correct("aspects", {"logistics": -1, "service": 0}).json()["label"] == {"logistics": -1, "service": 0}
    assert code(correct("urgency", "sometime")) == (422, "invalid_label")
    assert code(correct("mood", "bad")) == (422, "invalid_label")
    assert code(correct("urgency", "high", extra=1)) == (422, "invalid_body")
    found = client.get("/v1/feedback/a1").json()
    assert (found["urgency"], [entry["task"] for entry in found["corrections"]]) == ("critical", ["urgency", "aspects"])
    missing = client.post("/v1/feedback/no/corrections", json={"task": "urgency", "label": "low", "by": "li"})
    assert code(missing) == (404, "feedback_unknown")


def test_statuses(client: Client) -> None:
    post(client, {"text": "快递太慢了", "id": "a1"})

    def move(status: str, **more: Any) -> httpx.Response:
        return client.post("/v1/feedback/a1/status", json={"status": status, "by": "li", **more})

    assert move("assigned", assignee="wang").json()["status"] == "assigned"
    assert move("in_progress", note="回电13800138000").json()["responded_at"] is not None
    resolved = move("resolved").json()
    assert resolved["resolved_at"] is not None
    assert [entry["status"] for entry in resolved["history"]] == ["new", "assigned", "in_progress", "resolved"]
    assert resolved["history"][2]["note"] == "回电[手机号]"
    assert move("resolved").json() == resolved
    refused = move("assigned")
    assert code(refused) == (409, "status_refused")
    assert refused.json()["detail"] == "the comment is resolved; from there it can become reopened"
    assert move("reopened").json()["resolved_at"] is None
    assert code(move("new")) == (422, "invalid_body")


def export(client: Client, query: str, tmp_path: Path, name: str) -> Path:
    response = client.get(f"/v1/export?{query}")
    assert response.status_code == 200
    (tmp_path / name).write_bytes(response.content)
    return tmp_path / name


def test_exports(client: Client, tmp_path: Path) -> None:
    post(client, {"text": "=1+1 快递太慢了", "id": "a1", "channel": "@shop"})
    post(client, {"text": "很好", "id": "a2"})
    client.post("/v1/feedback/a2/corrections", json={"task": "category", "label": "other", "by": "li"})
    for status, note in (("resolved", "已退款"), ("reopened", "没收到"), ("resolved", "=已补发")):
        client.post("/v1/feedback/a2/status", json={"status": status, "by": "li", "note": note})
    post(client, {"text": "好", "id": "with", "metadata": {"shop": "S07", "n": 3}})
    held = json.loads(export(client, "format=jsonl", tmp_path, "one.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert json.loads(held["metadata"]) == {"shop": "S07", "n": 3}
    client.delete("/v1/feedback/with")
    text = export(client, "", tmp_path, "all.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == ["a2", "a1"]
    assert rows[1]["text"] == "'=1+1 快递太慢了"
    assert rows[1]["channel"] == "'@shop"
    assert (rows[0]["corrected_category"], rows[1]["corrected_category"]) == ("other", "")
    assert (rows[0]["answer"], rows[1]["answer"]) == ("'=已补发", "")
    lines = export(client, "format=jsonl", tmp_path, "all.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[1])["text"] == "=1+1 快递太慢了"
    table = pq.read_table(export(client, "format=parquet", tmp_path, "all.parquet"))
    assert table.column("id").to_pylist() == ["a2", "a1"]
    assert set(table.column_names) == set(rows[0]) == set(json.loads(lines[0]))
    assert len(export(client, "channel=none", tmp_path, "none.csv").read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_corrected_comments_are_training_input(client: Client, schema: Any, tmp_path: Path, kind: str) -> None:
    post(client, {"text": "快递太慢了", "id": "a1"})
    post(client, {"text": "很好", "id": "a2"})
    for task, label in (("urgency", "high"), ("aspects", {"logistics": -1})):
        client.post("/v1/feedback/a1/corrections", json={"task": task, "label": label, "by": "li"})
    path = export(client, f"format={kind}&corrected=true", tmp_path, f"corrected.{kind}")
    (example,) = read_examples(path, schema)
    assert example.labels == {"urgency": "high", "aspects": {"logistics": -1}}
    assert example.text == "快递太慢了"


def test_text_beyond_what_is_kept_is_refused(client: Client) -> None:
    assert code(post(client, {"text": "好" * (LONGEST + 1)})) == (422, "text_too_long")
    # A number where the text is cut into pieces is masked all the same.
    for at in range(1990, 2001):
        text = "".join(chr(0x4E00 + i * 7 % 5000) for i in range(at)) + "13800138000" + "急" * 5
        kept = post(client, {"text": text, "id": f"long{at}"})
        assert kept.json()["result"]["truncated"]
        assert "[手机号]" in client.get(f"/v1/feedback/long{at}").json()["text"]
    assert "13800138000" not in client.get("/v1/feedback").text


def test_without_a_store_there_are_no_such_paths(make_client: Callable[..., TestClient]) -> None:
    client = make_client()
    assert client.post("/v1/feedback", json={"text": "好"}).status_code == 404
    assert "/v1/feedback" not in client.get("/openapi.json").json()["paths"]
