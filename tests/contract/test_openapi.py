"""The server against its own OpenAPI: schemathesis, the committed document, and every documented status produced.

After a change of the interface that is meant: `FANKUI_UPDATE=1 pytest tests/contract/test_openapi.py`.
"""

import asyncio
import base64
import json
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
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
from serving.api_keys import new_key
from serving.app import create_app
from serving.key_file import KeyFile
from serving.settings import ServeSettings
from serving.store import endpoint_table
from serving.store.tables import idempotency_keys, jobs
from serving.uploads import SUFFIXES
from serving.webhooks.endpoints import new_endpoint

SNAPSHOT = Path(__file__).parent / "openapi.json"
DOCUMENT = schemathesis.openapi.from_dict(
    json.loads(SNAPSHOT.read_text(encoding="utf-8")),
    # 413 is what too many items are answered with; the others are schemathesis's own.
    config=schemathesis.Config.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": [400, 405, 413, 415, 422]}}}
    ),
)
# Files are bytes to it.
schemathesis.serializer.alias([kind for kind in SUFFIXES if not kind.endswith("/json")], "application/octet-stream")
JSON = {"Content-Type": "application/json"}


KEYS: dict[str, str] = {}
"""Name -> string of a key: one for each scope, and one that is soon used up."""


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = KeyFile(tmp_path_factory.mktemp("keys") / "keys.json", must_exist=False)
    for name, rate in (("admin", None), ("score", None), ("read", None), ("write", None), ("used", 1)):
        scope = "admin" if rate else name
        key, KEYS[name] = new_key(name, [scope], now=datetime.now(UTC), rate=rate)
        file.put(key)
    return file.path


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[name]}"}


@pytest.fixture
def app(linear_bundle: Path, tmp_path: Path, keys_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    monkeypatch.setenv("FANKUI_RAW_KEYS", f"k:{base64.b64encode(bytes(32)).decode()}")
    settings = ServeSettings(
        model=str(linear_bundle),
        host="0.0.0.0",
        allowed_hosts=("127.0.0.1", "localhost"),
        docs=True,
        keep_raw=True,
        keys_file=keys_file,
        store=str(tmp_path / "store.db"),
        store_timeout=0.5,
        read_timeout=0.2,
        job_read_timeout=0.2,
        request_timeout=0.3,
        probe_seconds=0.0,
    )
    app = create_app(settings)
    subscribe(app)
    yield app
    close(app)


def subscribe(app: FastAPI) -> None:
    """A webhook that nothing is sent to: the applications here are not started."""
    endpoint, _ = new_endpoint("crm", "https://crm.example/", (), now=datetime.now(UTC), seal=None)
    app.state.keeper.threads.database.write(lambda connection: endpoint_table.add(connection, endpoint))


def close(app: FastAPI) -> None:
    app.state.engine.close()
    app.state.keeper.threads.close()


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1", headers=bearer("admin"))


def test_the_document_is_the_committed_one(client: TestClient) -> None:
    found = client.get("/openapi.json").json()
    if os.environ.get("FANKUI_UPDATE"):
        SNAPSHOT.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


@pytest.fixture
def patient_app(linear_bundle: Path, tmp_path: Path, keys_file: Path) -> Iterator[FastAPI]:
    """One for each test: schemathesis ends the application's life with it."""
    app = create_app(ServeSettings(model=str(linear_bundle), store=str(tmp_path / "patient.db"), keys_file=keys_file))
    TestClient(app, base_url="http://127.0.0.1", headers=bearer("admin")).post(
        "/v1/feedback", json={"text": "快递太慢了", "id": "a1"}
    )
    yield app
    close(app)


@schemathesis.check
def refusals_of_well_formed_requests_are_about_the_text(ctx: CheckContext, response: Response, case: Any) -> None:
    """JSON Schema cannot say that a text has something visible in it and no NUL, nor what is in the store."""
    if case.meta is not None and case.meta.generation.mode.is_positive and response.status_code not in (200, 201, 202):
        codes = ["empty_text", "nul_character"]
        if case.path.startswith("/v1/jobs"):
            codes = ["job_unknown", "job_unfinished", "job_ended", "idempotency_mismatch", "idempotency_key_invalid"]
            codes += ["invalid_cursor", "invalid_file", "column_missing", "invalid_batch", "not_utf8", "too_many_jobs"]
        elif "{id}" in case.path:
            codes += ["feedback_erased", "feedback_unknown", "original_unknown", "status_refused", "invalid_label"]
            codes.append("call_refused")
        elif case.path.startswith("/v1/webhooks"):
            codes.append("webhook_unknown")
        elif case.path == "/v1/feedback":
            codes += [
                "feedback_erased",
                "feedback_exists",
                "idempotency_mismatch",
                "idempotency_key_invalid",
                "invalid_cursor",
            ]
        assert response.json()["code"] in codes, response.text


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Nearly every string names no model, and nothing behind that would be tried."""
    case.headers.pop("X-Model-Version", None)


@DOCUMENT.parametrize()
@examples(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_schemathesis(case: Any, patient_app: FastAPI) -> None:
    # The check above is stricter than the first; the second would ask without a key over a real connection, and
    # tests/serving/test_access.py does so for every path.
    excluded = [schemathesis.checks.positive_data_acceptance, schemathesis.checks.ignored_auth]
    headers = bearer("admin")
    case.call_and_validate(base_url="http://127.0.0.1", app=patient_app, excluded_checks=excluded, headers=headers)


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
        path = (
            response.request.url.path.replace("/a1", "/{id}")
            .replace("/none", "/{id}")
            .replace("/erased", "/{id}")
            .replace("/-", "/{id}")
        )
        path = re.sub("/jobs/[^/]+", "/jobs/{id}", path)
        produced.add((response.request.method, path, response.status_code))

    note(client.post("/v1/feedback", content=b'{"text": "\xe5\xa5\xbd", "id": "a1"}', headers=JSON))
    for method, template in sorted({(method, path) for method, path, _ in documented()}):
        path = template.replace("{id}", "erased" if method == "DELETE" else "a1")
        if template.startswith("/v1/jobs/"):
            path = template.replace("{id}", client.post("/v1/jobs", json={"items": [1]}).json()["id"])
        body = {"content": BODIES.get(template, b""), "headers": JSON} if method == "POST" else {}
        note(client.request(method, path, **body))
        note(client.request(method, path, headers={"Authorization": ""}))
        for name in ("score", "read", "write", "used", "used"):
            note(client.request(method, path, headers=bearer(name)))
        note(client.request(method, path, headers={"Host": "evil.example"}))
        note(client.request(method, path, content=b"x" * 10, headers={"Content-Length": str(10**9)}))
        produced.add((method, template, slow_body(app, method, path)))
        engine, keeper = app.state.engine, app.state.keeper
        app.state.engine = app.state.keeper = None
        note(client.request(method, path, **body))
        app.state.engine, app.state.keeper = engine, keeper

    def classify(content: bytes, kind: str = "application/json") -> None:
        note(client.post("/v1/classify", content=content, headers={"Content-Type": kind}))

    classify(b"{}")
    classify(b"hello", "text/plain")
    for path in ("/v1/classify", "/v1/feedback"):
        note(client.post(path, content=b'{"text": "a"}', headers={**JSON, "X-Model-Version": "another"}))
    with monkeypatch.context() as patch:
        patch.setattr(app.state.engine.places, "total", 0)
        classify(b'{"text": "a"}')
    with monkeypatch.context() as patch:
        patch.setattr(BundlePredictor, "columns", lambda *_: 1 / 0)
        classify(b'{"text": "a"}')
        note(client.get("/health/ready"))
    note_what_jobs_refuse(app, client, note)
    note_what_the_store_refuses(app, client, note, monkeypatch)
    go = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(BundlePredictor, "columns", lambda *_: go.wait(5) and None)
        classify(b'{"text": "a"}')
        note(client.post("/v1/feedback", content=b'{"text": "a"}', headers=JSON))
        go.set()
    assert produced == documented()


NO_JOB = "0" * 32

BODIES = {
    "/v1/classify": b'{"text": "\xe5\xa5\xbd"}',
    "/v1/feedback": b'{"text": "\xe5\xa5\xbd", "id": "a1"}',
    "/v1/jobs": b'{"items": [{"text": "\xe5\xa5\xbd"}]}',
    "/v1/erasures": b'{"customer_ref": "c9"}',
    "/v1/webhooks/replay": b'{"dead": true, "webhook": "crm"}',
    "/v1/feedback/{id}/corrections": b'{"task": "urgency", "label": "high", "by": "li"}',
    "/v1/feedback/{id}/status": b'{"status": "in_progress", "by": "li"}',
    "/v1/feedback/{id}/calls": b'{"outcome": "satisfied", "by": "li"}',
}


def note_what_the_store_refuses(
    app: FastAPI, client: TestClient, note: Callable[[httpx.Response], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {
        template: template.replace("{id}", "a1") for template in BODIES if template not in ("/v1/classify", "/v1/jobs")
    }
    for template, path in paths.items():
        note(client.post(path.replace("a1", "none"), content=BODIES[template], headers=JSON))
        note(client.post(path, content=BODIES[template], headers={"Content-Type": "text/plain"}))
        note(client.post(path, content=b'{"text": 1}', headers=JSON))
    for _ in range(2):
        note(client.post(paths["/v1/feedback/{id}/corrections"], json={"task": "urgency", "label": "low", "by": "li"}))
    note(client.post(paths["/v1/feedback/{id}/status"], json={"status": "reopened", "by": "li"}))
    note(client.post(paths["/v1/feedback/{id}/status"], json={"status": "resolved", "by": "li"}))
    for _ in range(2):
        note(client.post(paths["/v1/feedback/{id}/calls"], content=BODIES["/v1/feedback/{id}/calls"], headers=JSON))
    note(client.post("/v1/feedback", json={"text": "x", "id": "a1"}))
    for method in ("GET", "DELETE"):
        note(client.request(method, "/v1/feedback/none"))
        note(client.request(method, "/v1/feedback/-"))
    note(client.get("/v1/feedback/none/original"))
    note(client.get("/v1/feedback/-/original"))
    note(client.get("/v1/feedback?limit=0"))
    note(client.get("/v1/export?format=exe"))
    note(client.get("/v1/webhooks/dead?limit=0"))
    note(client.get("/v1/alerts?limit=0"))
    note(client.get("/v1/webhooks/dead?webhook=none"))
    note(client.post("/v1/webhooks/replay", json={"dead": True, "webhook": "none"}))
    with monkeypatch.context() as patch:
        patch.setattr(app.state.engine.places, "total", 0)
        note(client.post("/v1/feedback", json={"text": "x"}))
    for template, path in paths.items():
        note(
            client.post(path.replace("a1", "erased"), content=BODIES[template].replace(b"a1", b"erased"), headers=JSON)
        )
    note(client.delete("/v1/feedback/erased"))
    note(client.delete("/v1/feedback/erased"))
    note(client.get("/v1/feedback/erased"))
    note(client.get("/v1/feedback/erased/original"))
    for template, path in paths.items():
        note(
            client.post(path.replace("a1", "erased"), content=BODIES[template].replace(b"a1", b"erased"), headers=JSON)
        )
    with sqlite3.connect(app.state.engine.settings.store) as database:
        database.execute("ALTER TABLE feedback RENAME TO elsewhere")
        database.execute("ALTER TABLE webhook_endpoints RENAME TO nowhere")
        database.execute("ALTER TABLE jobs RENAME TO elsewhere_too")
        database.execute("ALTER TABLE alerts RENAME TO far_away")
    for template, path in paths.items():
        note(client.post(path, content=BODIES[template], headers=JSON))
    note(client.post("/v1/jobs", content=BODIES["/v1/jobs"], headers=JSON))
    note(client.post(f"/v1/jobs/{NO_JOB}/cancel"))
    for path in ("/v1/feedback", "/v1/feedback/a1", "/v1/feedback/a1/original", "/v1/export", "/v1/jobs"):
        note(client.get(path))
    for path in (f"/v1/jobs/{NO_JOB}", f"/v1/jobs/{NO_JOB}/results"):
        note(client.get(path))
    for path in ("/v1/webhooks", "/v1/webhooks/dead?webhook=crm", "/v1/alerts"):
        note(client.get(path))
    note(client.delete("/v1/feedback/a1"))
    database.close()


def note_what_jobs_refuse(app: FastAPI, client: TestClient, note: Callable[[httpx.Response], None]) -> None:
    for id_ in (NO_JOB, "x"):
        for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
            note(client.request(method, f"/v1/jobs/{id_}{path}"))
            note(client.request(method, f"/v1/jobs/{id_}{path}?nobody=1"))
    note(client.get("/v1/jobs?limit=0"))
    note(client.post("/v1/jobs", content=b"text", headers={"Content-Type": "text/plain"}))
    note(client.post("/v1/jobs", json={"items": []}))
    note(client.post("/v1/jobs", content=b"{", headers=JSON))
    for body in ({"items": [1]}, {"items": [2]}):
        note(client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "k"}))
    database = app.state.keeper.threads.database
    database.write(lambda connection: connection.execute(idempotency_keys.update().values(status=None)))
    note(client.post("/v1/jobs", json={"items": [1]}, headers={"Idempotency-Key": "k"}))
    database.write(lambda connection: connection.execute(idempotency_keys.delete()))
    asyncio.run(app.state.keeper.runner.look())
    ended = client.get("/v1/jobs?status=finished").json()["items"][0]["id"]
    note(client.get(f"/v1/jobs/{ended}/results"))
    note(client.post(f"/v1/jobs/{ended}/cancel"))
    database.write(lambda connection: connection.execute(jobs.update().values(expires_at=datetime.now(UTC))))
    asyncio.run(app.state.keeper.runner.look())
    note(client.get(f"/v1/jobs/{ended}/results"))


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
        "headers": [
            (b"host", b"localhost"),
            (b"content-length", b"9"),
            (b"content-type", b"application/json"),
            (b"authorization", bearer("admin")["Authorization"].encode()),
        ],
    }
    asyncio.run(app(scope, receive, send))
    return statuses[0]


def test_problems_have_the_documented_shape(client: TestClient) -> None:
    shape = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["components"]["schemas"]["Problem"]
    problem = client.post("/v1/classify", content=b"{", headers=JSON).json()
    assert set(problem) == set(shape["required"]) == set(shape["properties"])
