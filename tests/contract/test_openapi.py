"""The server against its own OpenAPI: schemathesis, the committed document, and every documented status produced.

After a change of the interface that is meant: `FANKUI_UPDATE=1 pytest tests/contract/test_openapi.py`.
"""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import settings as examples
from schemathesis.checks import CheckContext
from schemathesis.core.transport import Response
from starlette.testclient import TestClient

from models.predictor import BundlePredictor
from serving.app import create_app
from serving.settings import ServeSettings

SNAPSHOT = Path(__file__).parent / "openapi.json"
DOCUMENT = schemathesis.openapi.from_dict(
    json.loads(SNAPSHOT.read_text(encoding="utf-8")),
    # 413 is what too many items are answered with; the others are schemathesis's own.
    config=schemathesis.Config.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": [400, 405, 413, 415, 422]}}}
    ),
)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(linear_bundle: Path) -> Iterator[FastAPI]:
    settings = ServeSettings(model=str(linear_bundle), read_timeout=0.2, request_timeout=0.3, probe_seconds=0.0)
    app = create_app(settings)
    yield app
    app.state.engine.close()


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1")


def test_the_document_is_the_committed_one(client: TestClient) -> None:
    found = client.get("/openapi.json").json()
    if os.environ.get("FANKUI_UPDATE"):
        SNAPSHOT.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def patient_app(linear_bundle: Path) -> Iterator[FastAPI]:
    app = create_app(ServeSettings(model=str(linear_bundle)))
    yield app
    app.state.engine.close()


@schemathesis.check
def refusals_of_well_formed_requests_are_about_the_text(ctx: CheckContext, response: Response, case: Any) -> None:
    """JSON Schema cannot say that a text has something visible in it and no NUL; nothing else may be refused."""
    if case.meta is not None and case.meta.generation.mode.is_positive and response.status_code != 200:
        assert response.json()["code"] in ("empty_text", "nul_character"), response.text


@DOCUMENT.parametrize()
@examples(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_schemathesis(case: Any, patient_app: FastAPI) -> None:
    excluded = [schemathesis.checks.positive_data_acceptance]  # the check above, which is stricter, stands for it
    case.call_and_validate(base_url="http://127.0.0.1", app=patient_app, excluded_checks=excluded)


def documented() -> set[tuple[str, str, int]]:
    paths = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["paths"]
    return {
        (method.upper(), path, int(status))
        for path, methods in paths.items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }


def test_every_documented_status_is_produced_and_every_produced_one_documented(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    produced: set[tuple[str, str, int]] = set()

    def note(response: httpx.Response) -> None:
        produced.add((response.request.method, response.request.url.path, response.status_code))

    operations = [("POST", "/v1/classify"), *(("GET", path) for path in paths_of(documented(), "GET"))]
    for method, path in operations:
        body = {"content": b'{"text": "\xe5\xa5\xbd"}', "headers": JSON} if method == "POST" else {}
        note(client.request(method, path, **body))
        note(client.request(method, path, headers={"Host": "evil.example"}))
        note(client.request(method, path, content=b"x" * 10, headers={"Content-Length": str(10**9)}))
        produced.add((method, path, slow_body(app, method, path)))
        engine, app.state.engine = app.state.engine, None
        note(client.request(method, path, **body))
        app.state.engine = engine

    def classify(content: bytes, kind: str = "application/json") -> None:
        note(client.post("/v1/classify", content=content, headers={"Content-Type": kind}))

    classify(b"{}")
    classify(b"hello", "text/plain")
    with monkeypatch.context() as patch:
        patch.setattr(app.state.engine.places, "total", 0)
        classify(b'{"text": "a"}')
    with monkeypatch.context() as patch:
        patch.setattr(BundlePredictor, "columns", lambda *_: 1 / 0)
        classify(b'{"text": "a"}')
        note(client.get("/health/ready"))
    go = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(BundlePredictor, "columns", lambda *_: go.wait(5) and None)
        classify(b'{"text": "a"}')
        go.set()
    assert produced == documented()


def paths_of(operations: set[tuple[str, str, int]], wanted: str) -> list[str]:
    return sorted({path for method, path, _ in operations if method == wanted})


def slow_body(app: FastAPI, method: str, path: str) -> int:
    """Status of a request whose body never ends."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"9")],
    }
    asyncio.run(app(scope, receive, send))
    return statuses[0]


def test_problems_have_the_documented_shape(client: TestClient) -> None:
    shape = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["components"]["schemas"]["Problem"]
    problem = client.post("/v1/classify", content=b"{", headers=JSON).json()
    assert set(problem) == set(shape["required"]) == set(shape["properties"])
