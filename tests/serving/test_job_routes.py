"""/v1/jobs over HTTP, on both databases. Without a lifespan nobody works on jobs until a test says so."""

import asyncio
import io
import json
import sqlite3
import time
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from starlette.testclient import TestClient

from models.predictor import BundlePredictor
from serving import job_runner
from serving.store import tables
from serving.uploads import XLSX

CANARY = "13800138000"
ITEMS: list[Any] = [
    {
        "text": f"电热毯冒烟了！打{CANARY}找我",
        "id": "a1",
        "channel": "hotline",
        "created_at": "2026-03-01T09:30:00+08:00",
    },
    {"text": "快递三天没到", "id": CANARY, "customer_ref": CANARY, "metadata": {"tier": "gold", "phone": CANARY}},
    {"text": "", "id": "a3"},
    {"text": "好用", "rating": 5},
    17,
    {"text": "退款半个月没到账\0"},
]
CSV, JSONL, PARQUET = "text/csv", "application/jsonl", "application/vnd.apache.parquet"


@pytest.fixture
def app(make_app: Callable[..., FastAPI], store_url: str) -> FastAPI:
    return make_app(store=store_url, cache=0, max_job_rows=600, max_job_bytes=200_000, max_jobs=3)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1")


def post(client: TestClient, items: list[Any], key: str | None = None) -> httpx.Response:
    return client.post("/v1/jobs", json={"items": items}, headers={} if key is None else {"Idempotency-Key": key})


def send(client: TestClient, content: bytes, kind: str, query: str = "") -> httpx.Response:
    return client.post(f"/v1/jobs{query}", content=content, headers={"Content-Type": kind, "Idempotency-Key": "file"})


def work(app: FastAPI) -> int:
    count: int = asyncio.run(app.state.keeper.runner.look())
    return count


def results(client: TestClient, location: str) -> list[dict[str, Any]]:
    answer = client.get(f"{location}/results")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/jsonl")
    return [json.loads(line) for line in answer.text.splitlines()]


def rows(app: FastAPI, table: Any) -> list[Any]:
    found: list[Any] = app.state.keeper.threads.database.read(
        lambda connection: list(connection.execute(select(table)))
    )
    return found


def count(app: FastAPI, table: Any) -> int:
    return len(rows(app, table))


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def everything(app: FastAPI) -> str:
    """All that the store holds, unpacked."""
    told = []
    for table in tables.metadata.sorted_tables:
        for row in rows(app, table):
            for cell in row:
                packed = isinstance(cell, bytes) and cell[:1] == b"\x78"
                told.append(zlib.decompress(cell).decode() if packed else str(cell))
    return "\n".join(told)


def test_results_are_those_of_classify_and_nothing_personal_is_kept(app: FastAPI, client: TestClient) -> None:
    answer = post(client, ITEMS)
    location = answer.headers["Location"]
    assert answer.status_code == 202
    assert location == f"/v1/jobs/{answer.json()['id']}"
    assert (answer.json()["status"], answer.json()["total"], answer.json()["results"]) == ("queued", 6, None)
    assert code(client.get(f"{location}/results")) == (409, "job_unfinished")
    assert CANARY not in everything(app)
    assert "[手机号]" in everything(app)

    assert work(app) == 1
    found = client.get(location).json()
    assert (found["status"], found["done"], found["failed"], found["progress"]) == ("finished", 6, 4, 1.0)
    assert found["models"] == [app.state.engine.active.version]
    assert client.get("/v1/jobs?status=finished").json() == {"items": [found], "next": None}

    lines = results(client, location)
    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5, 6]
    plain = client.post("/v1/classify", json={"items": ITEMS}).json()["results"]
    for line, expected in zip(lines, plain, strict=True):
        assert line.pop("model_version") == app.state.engine.active.version
        del line["row"]
        if "error" in expected:
            assert line == expected
            continue
        due = datetime.fromisoformat(line["decision"].pop("due_at"))
        assert abs(due - datetime.fromisoformat(expected["decision"].pop("due_at"))) < timedelta(minutes=1)
        assert line == {**expected, "id": line["id"]}
    assert [line["id"] for line in lines[:2]] == ["a1", "[手机号]"]

    (event,) = rows(app, tables.events)
    assert (event.type, event.subject, event.data["status"], event.data["failed"]) == (
        "job.finished", found["id"], "finished", 4
    )  # fmt: skip
    assert [row.comments for row in rows(app, tables.job_chunks)] == [None]
    assert CANARY not in everything(app)
    assert 'fankui_jobs_total{outcome="finished"} 1.0' in client.get("/metrics").text
    assert 'fankui_job_rows_total{outcome="error"} 4.0' in client.get("/metrics").text


def csv_gb18030() -> tuple[bytes, str, str]:
    text = "编号,评论\r\n1,快递三天没到\r\n2,很好用,多余\r\n3,客服不回\r\n"
    return text.encode("gb18030"), CSV + "; charset=gb18030", "?text_column=评论"


def jsonl() -> tuple[bytes, str, str]:
    return '{"text": "快递三天没到"}\n{"text": \n{"text": "客服不回", "n": 1}\n'.encode(), JSONL, ""


def parquet() -> tuple[bytes, str, str]:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["快递三天没到", None, "客服不回"]}), file)
    return file.getvalue(), PARQUET, ""


def xlsx(*, sheets: int = 1) -> tuple[bytes, str, str]:
    book = openpyxl.Workbook()
    for number in range(sheets):
        sheet = book.worksheets[0] if number == 0 else book.create_sheet(f"页{number}")
        for row in (["text"], ["快递三天没到"], [None, "多余"], ["客服不回"]):
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue(), XLSX, "" if sheets == 1 else "?sheet=页1"


@pytest.mark.parametrize("make", [csv_gb18030, jsonl, parquet, xlsx, lambda: xlsx(sheets=2)])
def test_a_file_is_scored_row_by_row(app: FastAPI, client: TestClient, make: Callable[[], Any]) -> None:
    answer = send(client, *make())
    assert (answer.status_code, answer.json()["total"]) == (202, 3)
    work(app)
    lines = results(client, answer.headers["Location"])
    assert ["error" in line for line in lines] == [False, True, False]
    assert lines[1]["error"]["code"] in ("bad_row", "not_text")


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx()[0])) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, b" " * (30 << 20) if "sheet1" in name else old.read(name))
    return file.getvalue()


def wide_parquet() -> bytes:
    """Unpacks to 1 MB out of a few kB."""
    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["好" * 10_000] * 40}), file, compression="zstd")
    return file.getvalue()


MANY = b"text\n" + b"ok\n" * 601
REFUSED: dict[str, tuple[bytes, str, int, str]] = {
    "empty": (b"", "application/json", 400, "not_json"),
    "half": (b'{"items": [{"text": "a"}, {"te', "application/json", 400, "not_json"),
    "more": (b'{"items": [{"text": "a"}]} 1', "application/json", 400, "not_json"),
    "list": (b'[{"text": "a"}]', "application/json", 422, "invalid_batch"),
    "other key": (b'{"texts": []}', "application/json", 422, "invalid_batch"),
    "second key": (b'{"items": [1], "a": 1}', "application/json", 422, "invalid_batch"),
    "none": (b'{"items": []}', "application/json", 422, "invalid_batch"),
    "deep": (b'{"items": [' + b"[" * 100_000, "application/json", 400, "not_json"),
    "nul": (b"\0" * 1000, "application/json", 400, "not_json"),
    "601 items": (b'{"items": [' + b"1," * 600 + b"1]}", "application/json", 413, "too_many_items"),
    "601 rows": (MANY, CSV, 413, "too_many_items"),
    "large": (b"text\n" + b"x" * 200_000, CSV, 413, "body_too_large"),
    "unpacked": (wide_parquet(), PARQUET, 413, "body_too_large"),
    "no type": (b"text\na", "", 415, "media_type_unsupported"),
    "form": (b"text\na", "multipart/form-data; boundary=x", 415, "media_type_unsupported"),
    "charset": (b"text\na", "text/csv; charset=utf-16", 415, "media_type_unsupported"),
    "no header": (f"第一条{CANARY}\n第二条\n".encode(), CSV, 422, "column_missing"),
    "only a header": (b"text\n", CSV, 422, "invalid_batch"),
    "utf-16 without a mark": ("text\n好".encode("utf-16-le"), CSV, 422, "column_missing"),
    "noise": (bytes(range(256)) * 20, CSV, 400, "not_utf8"),
    "zip as csv": (xlsx()[0], CSV, 422, "invalid_file"),
    "csv as xlsx": (b"text\na", XLSX, 422, "invalid_file"),
    "torn xlsx": (xlsx()[0][:-700], XLSX, 422, "invalid_file"),
    "bomb": (bomb(), XLSX, 422, "invalid_file"),
    "two sheets": (xlsx(sheets=2)[0], XLSX, 422, "invalid_file"),
    "torn parquet": (parquet()[0][:-9], PARQUET, 422, "invalid_file"),
}  # fmt: skip


def test_what_is_refused_leaves_nothing(app: FastAPI, client: TestClient) -> None:
    for name, (content, kind, status, expected) in REFUSED.items():
        answer = send(client, content, kind)
        assert code(answer) == (status, expected), name
        assert CANARY not in answer.text
        assert "/" not in answer.json()["detail"].replace("application/", "").replace("text/", ""), name  # no path
        assert count(app, tables.jobs) == count(app, tables.job_chunks) == count(app, tables.idempotency_keys) == 0
    # The key is free again.
    assert send(client, "text\n快递\n".encode(), CSV).status_code == 202


def test_the_same_key_gives_the_same_job(app: FastAPI, client: TestClient) -> None:
    first = post(client, ITEMS, "k")
    again = post(client, ITEMS, "k")
    assert (first.status_code, again.status_code, again.content) == (202, 202, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert code(post(client, ITEMS[:1], "k")) == (422, "idempotency_mismatch")
    assert code(post(client, ITEMS, "k" * 256)) == (400, "idempotency_key_invalid")
    assert count(app, tables.jobs) == 1
    assert post(client, ITEMS, "k2").headers["Location"] != first.headers["Location"]


def test_limits_of_jobs_and_of_room(app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    locations = [post(client, ITEMS).headers["Location"] for _ in range(3)]
    refused = post(client, ITEMS, "k")
    assert code(refused) == (429, "too_many_jobs")
    assert refused.headers["Retry-After"] == "60"
    assert client.post(f"{locations[0]}/cancel").json()["status"] == "cancelled"
    assert post(client, ITEMS, "k").status_code == 202
    work(app)
    monkeypatch.setattr(type(app.state.engine.settings), "max_jobs_bytes", 100)
    assert code(post(client, ITEMS)) == (429, "jobs_full")


def test_a_cancelled_job_keeps_what_was_scored(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = post(client, ITEMS).headers["Location"]
    assert client.post(f"{queued}/cancel").json()["done"] == 0
    assert client.post(f"{queued}/cancel").status_code == 200
    assert results(client, queued) == []
    assert count(app, tables.job_chunks) == 0

    running = post(client, [{"text": f"第{i}条快递没到"} for i in range(600)]).headers["Location"]
    original = job_runner.results_out

    def cancelling(chunk: Any, *found: Any, **named: Any) -> bytes:
        if chunk.number == 1:  # another client does so while the second chunk is scored
            assert client.post(f"{running}/cancel").json()["status"] == "cancelled"
        return original(chunk, *found, **named)

    monkeypatch.setattr(job_runner, "results_out", cancelling)
    assert work(app) == 1
    found = client.get(running).json()
    assert (found["status"], found["done"], found["error"]) == ("cancelled", 256, None)
    assert [line["row"] for line in results(client, running)] == list(range(1, 257))
    assert [event.data["status"] for event in rows(app, tables.events)] == ["cancelled", "cancelled"]
    assert work(app) == 0

    ended = post(client, ITEMS).headers["Location"]
    work(app)
    assert code(client.post(f"{ended}/cancel")) == (409, "job_ended")


def test_results_expire(app: FastAPI, client: TestClient) -> None:
    location = post(client, ITEMS).headers["Location"]
    work(app)
    over = datetime.now(UTC) - timedelta(seconds=1)
    database = app.state.keeper.threads.database
    database.write(lambda connection: connection.execute(update(tables.jobs).values(expires_at=over)))
    work(app)
    assert code(client.get(f"{location}/results")) == (410, "results_expired")
    found = client.get(location).json()
    assert (found["status"], found["done"], found["results"]) == ("finished", 6, None)
    assert found["expired_at"] is not None
    assert count(app, tables.job_chunks) == 0


def test_a_model_that_fails_at_all_fails_the_job_and_at_one_the_row(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_RETRY", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(BundlePredictor, "columns", lambda *_: 1 / 0)
        location = post(client, ITEMS).headers["Location"]
        work(app)
    found = client.get(location).json()
    assert (found["status"], found["error"], found["done"]) == ("failed", "model_failed", 0)
    assert results(client, location) == []


def test_keys_see_their_own_jobs(
    make_app: Callable[..., FastAPI], make_key: Callable[..., str], keys_file: Path, tmp_path: Path
) -> None:
    names = {name: {"X-Api-Key": make_key(scope, name=name)} for name, scope in
             (("one", "score"), ("two", "score"), ("reader", "read"), ("admin", "admin"))}  # fmt: skip
    app = make_app(store=str(tmp_path / "store.db"), keys_file=keys_file)
    client = TestClient(app, base_url="http://127.0.0.1")
    answer = client.post("/v1/jobs", json={"items": ITEMS}, headers=names["one"])
    location = answer.headers["Location"]
    none, no_id = f"/v1/jobs/{'0' * 32}", "/v1/jobs/NOPE%00"
    for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
        foreign = client.request(method, location + path, headers=names["two"])
        unknown = client.request(method, none + path, headers=names["two"])
        assert code(foreign) == code(unknown) == (404, "job_unknown")
        assert code(client.request(method, no_id + path, headers=names["two"])) == (404, "job_unknown")
        assert foreign.json()["detail"] == unknown.json()["detail"]
        assert code(client.request(method, location + path, headers=names["reader"])) == (403, "scope_missing")
        assert code(client.request(method, location + path)) == (401, "key_missing")
    assert client.get("/v1/jobs", headers=names["two"]).json()["items"] == []
    for name in ("one", "admin"):
        assert [item["id"] for item in client.get("/v1/jobs", headers=names[name]).json()["items"]] == [
            answer.json()["id"]
        ]
    assert client.get(location, headers=names["admin"]).status_code == 200


def test_pages_lead_through_all_jobs(app: FastAPI, client: TestClient) -> None:
    made = [post(client, ITEMS[:1]).json()["id"] for _ in range(3)]
    first = client.get("/v1/jobs?limit=2").json()
    second = client.get(f"/v1/jobs?limit=2&cursor={first['next']}").json()
    assert [item["id"] for item in (*first["items"], *second["items"])] == made[::-1]
    assert second["next"] is None
    assert code(client.get("/v1/jobs?cursor=x")) == (422, "invalid_cursor")


def test_a_store_that_fails_in_the_middle_leaves_nothing_that_is_seen(
    make_app: Callable[..., FastAPI], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(store=str(tmp_path / "store.db"), store_timeout=0.3)
    client = TestClient(app, base_url="http://127.0.0.1")
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute("ALTER TABLE job_chunks RENAME TO elsewhere")
    assert code(post(client, ITEMS, "k")) == (503, "store_unavailable")
    assert client.get("/v1/jobs").json()["items"] == []
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute("ALTER TABLE elsewhere RENAME TO job_chunks")
    other.close()
    assert post(client, ITEMS, "k").status_code == 202


def test_an_upload_leaves_no_file_behind(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    for content, kind, _, _ in REFUSED.values():
        send(client, content, kind)
    assert post(client, ITEMS).status_code == 202
    assert list(folder.iterdir()) == []


def test_uploads_beyond_their_places_and_without_room_are_refused(
    app: FastAPI, client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(type(app.state.engine.settings), "max_job_uploads", 0)
        assert code(post(client, ITEMS)) == (429, "overloaded")
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
        refused = post(client, ITEMS)
        assert (code(refused), refused.headers["Retry-After"]) == ((503, "upload_failed"), "5")
    assert post(client, ITEMS).status_code == 202


def test_jobs_run_by_themselves_and_go_on_after_a_stop(app: FastAPI) -> None:
    with TestClient(app, base_url="http://127.0.0.1") as client:
        location = post(client, ITEMS).headers["Location"]
        deadline = time.monotonic() + 20
        while client.get(location).json()["status"] != "finished":
            assert time.monotonic() < deadline
            time.sleep(0.02)
