"""Results of jobs as csv and parquet, on both databases: the columns of a scored file, the values of the lines."""

import asyncio
import csv
import io
import json
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, update
from starlette.testclient import TestClient

from models.answer import column_kinds
from serving.store.tables import job_chunks

ITEMS: list[Any] = [
    {"text": "电热毯冒烟了，快递也没到", "id": "=1+1"},
    {"text": "", "id": "empty"},
    {"text": "好用", "id": "@SUM(A1)"},
    *({"text": f"第{i}条快递没到"} for i in range(300)),
]


@pytest.fixture
def app(make_app: Callable[..., FastAPI], store_url: str) -> FastAPI:
    return make_app(store=store_url)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture
def results(app: FastAPI, client: TestClient) -> str:
    location: str = client.post("/v1/jobs", json={"items": ITEMS}).headers["Location"]
    asyncio.run(app.state.keeper.runner.look())
    return f"{location}/results"


def fetched(client: TestClient, path: str, kind: str) -> httpx.Response:
    answer: httpx.Response = client.get(f"{path}?format={kind}")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="results.{kind}"'
    return answer


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_parquet_holds_what_the_lines_hold(app: FastAPI, client: TestClient, results: str) -> None:
    lines = [json.loads(line) for line in client.get(results).text.splitlines()]
    assert client.get(f"{results}?format=jsonl").text == client.get(results).text
    table = pq.read_table(io.BytesIO(fetched(client, results, "parquet").content))
    schema = app.state.engine.active.predictor.schema
    assert table.column_names == ["row", "id", *(name for name, _ in column_kinds(schema, routed=True))]
    cells = table.to_pylist()
    assert [row["row"] for row in cells] == list(range(1, len(ITEMS) + 1))
    assert any(line.get("aspects") for line in lines)
    signs = {"negative": -1, "neutral": 0, "positive": 1}
    for row, line in zip(cells, lines, strict=True):
        assert (row["id"], row["model_version"]) == (line["id"], app.state.engine.active.version)
        if "error" in line:
            assert row["error"] == f"{line['error']['code']}: {line['error']['message']}"
            assert {row[name] for name in ("category", "queue", "truncated", "satisfaction")} == {None}
            continue
        for name, found in line["labels"].items():
            assert (row[name], row[f"{name}_probability"]) == (found["label"], found["probability"])
        assert dict(row["aspects"]) == {found["category"]: signs[found["polarity"]] for found in line["aspects"]}
        assert (row["satisfaction"], row["urgency_score"]) == (line["satisfaction"], line["urgency_score"])
        decision = line["decision"]
        assert row["due_at"] == datetime.fromisoformat(decision["due_at"])
        names = ("queue", "zone", "reasons")
        assert [row[name] for name in names] == [decision[name] for name in names]
        assert row["queue_priority"] == decision["priority"] > 0
        assert (row["flags"], row["truncated"], row["error"]) == (line["flags"], line["truncated"], None)


def test_csv_runs_nothing_as_a_formula(client: TestClient, results: str) -> None:
    answer = fetched(client, results, "csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["id"] for row in rows[:3]] == ["'=1+1", "empty", "'@SUM(A1)"]
    assert [row["row"] for row in rows] == [str(i + 1) for i in range(len(ITEMS))]
    assert (rows[1]["category"], rows[1]["error"].partition(":")[0]) == ("", "empty_text")
    assert rows[0]["error"] == ""


def test_what_is_no_format_or_not_there(app: FastAPI, client: TestClient, results: str) -> None:
    assert code(client.get(f"{results}?format=xlsx")) == (422, "invalid_item")
    waiting = client.post("/v1/jobs", json={"items": ITEMS[:1]}).headers["Location"]
    assert code(client.get(f"{waiting}/results?format=csv")) == (409, "job_unfinished")
    # A chunk goes while the results are read, as when their time is over.
    database = app.state.keeper.threads.database
    database.write(lambda connection: connection.execute(delete(job_chunks).where(job_chunks.c.number == 1)))
    assert code(client.get(f"{results}?format=csv")) == (410, "results_expired")


def test_a_task_that_the_model_in_service_lacks_is_left_out(app: FastAPI, client: TestClient, results: str) -> None:
    """The server was started anew with another model."""
    database = app.state.keeper.threads.database

    def relabel(connection: Any) -> None:
        packed = connection.scalar(select(job_chunks.c.results).where(job_chunks.c.number == 0))
        lines = [json.loads(line) for line in zlib.decompress(packed).splitlines()]
        lines[0]["labels"]["mood"] = {"label": "calm", "probability": 0.5, "alternatives": []}
        body = zlib.compress("\n".join(map(json.dumps, lines)).encode())
        connection.execute(update(job_chunks).where(job_chunks.c.number == 0).values(results=body))

    before = fetched(client, results, "csv").text
    database.write(relabel)
    assert fetched(client, results, "csv").text == before
    assert '"mood"' in client.get(results).text


def test_no_file_stays_and_no_room_is_told(
    client: TestClient, results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    fetched(client, results, "parquet")
    assert list(folder.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    for path in (f"{results}?format=csv", "/v1/export"):
        answer = client.get(path)
        assert (answer.headers["Retry-After"], code(answer)) == ("5", (503, "file_failed"))
