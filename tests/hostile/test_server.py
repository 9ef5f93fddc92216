"""What strangers send. Each row of the table is something that FastAPI, uvicorn and pydantic get wrong by default.

Deadlines and limits below HTTP are in tests/serving/test_protocol.py, bodies that never end in test_body_limit.py.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from models.predictor import BundlePredictor, Columns
from serving.app import create_app
from serving.logs import JsonLines
from serving.settings import ServeSettings

JSON = {"Content-Type": "application/json"}
PHONE = "13800138000"


@pytest.fixture(scope="module")
def app(linear_bundle: Path) -> Iterator[FastAPI]:
    app = create_app(ServeSettings(model=str(linear_bundle), max_body_bytes=1 << 20, max_items=64, cache=0))
    yield app
    app.state.engine.close()


@pytest.fixture(scope="module")
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1")


def post(client: TestClient, content: bytes, **headers: str) -> httpx.Response:
    return client.post("/v1/classify", content=content, headers=JSON | headers)


ROWS = {
    "unpaired surrogate": (b'{"text": "\\ud800"}', 400, "invalid_unicode"),
    "surrogate as raw bytes": (b'{"text": "\xed\xa0\x80"}', 400, "not_utf8"),
    "surrogate in a key": (b'{"text": "a", "\\udfff": 1}', 400, "invalid_unicode"),
    "body over the limit": (b'{"text": "' + b"a" * (1 << 20) + b'"}', 413, "body_too_large"),
    "phone number in a wrong field": (f'{{"text": "a", "channel": {PHONE}}}'.encode(), 422, "invalid_item"),
    "phone number as a field": (f'{{"text": "a", "{PHONE}": 1}}'.encode(), 422, "invalid_item"),
    "NaN": (b'{"text": NaN}', 400, "non_finite_number"),
    "Infinity in metadata": (b'{"text": "a", "metadata": {"x": [Infinity]}}', 400, "non_finite_number"),
    "1e999": (b'{"text": "a", "metadata": {"x": 1e999}}', 400, "non_finite_number"),
    "100,000 nested lists": (b"[" * 100_000, 400, "not_json"),
    "900 nested lists": (b'{"text": "a", "metadata": {"x": ' + b"[" * 900 + b"]" * 900 + b"}}", 200, None),
    "integer of 5,000 digits": (b'{"text": "a", "metadata": {"x": ' + b"7" * 5000 + b"}}", 400, "non_finite_number"),
    "GBK": ('{"text": "好"}'.encode("gbk"), 400, "not_utf8"),
    "UTF-16": ('{"text": "好"}'.encode("utf-16"), 400, "not_utf8"),
    "duplicate key": (b'{"text": "a", "text": "b"}', 400, "duplicate_key"),
    "NUL": (b'{"text": "a\\u0000b"}', 422, "nul_character"),
    "nothing visible": ('{"text": "\u200b\u200d\u2060\ufeff"}'.encode(), 422, "empty_text"),
    "nothing at all": (b"", 400, "not_json"),
    "a list": (b'[{"text": "a"}]', 422, "invalid_item"),
    "a number": (b"7", 422, "invalid_item"),
    "ligature that grows 18 times": (('{"text": "' + "\ufdfa" * 2000 + '"}').encode(), 200, None),
    "run of one character": (('{"text": "' + "投" * 100_000 + '"}').encode(), 200, None),
    "time before time": (b'{"text": "a", "created_at": "0000-00-00T00:00:00Z"}', 422, "invalid_item"),
    "time as a number": (b'{"text": "a", "created_at": 1e12}', 422, "invalid_item"),
}


@pytest.mark.parametrize("row", ROWS)
def test_hostile_bodies(client: TestClient, row: str) -> None:
    content, status, code = ROWS[row]
    started = time.perf_counter()
    response = post(client, content)
    assert time.perf_counter() - started < 2
    assert (response.status_code, response.json().get("code")) == (status, code)
    assert PHONE not in response.text
    if code is not None:
        assert len(response.content) < 500


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=10,
)
FIELDS = ("text", "id", "channel", "created_at", "customer_ref", "metadata", "items", "x")
REQUESTS = st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=5) | ANY_JSON
BATCHES = st.builds(lambda items: {"items": items}, st.lists(REQUESTS, max_size=5))


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(REQUESTS | BATCHES)
def test_whatever_json_is_sent_is_answered_soon_and_never_with_500(client: TestClient, value: Any) -> None:
    content = json.dumps(value).encode()  # lone surrogates as \\ud800, NaN as NaN
    started = time.perf_counter()
    response = post(client, content)
    assert response.status_code in (200, 400, 413, 422), content
    assert time.perf_counter() - started < 2
    json.loads(response.content, parse_constant=lambda name: pytest.fail(f"{name} in an answer"))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters()))
def test_whatever_text_is_sent_alone_is_answered_in_a_batch_too(client: TestClient, text: str) -> None:
    alone = post(client, json.dumps({"text": text}).encode())
    batch = post(client, json.dumps({"items": [{"text": "好"}, {"text": text}]}).encode())
    assert alone.status_code in (200, 400, 422)
    assert batch.status_code == 200
    first, second = batch.json()["results"]
    assert "labels" in first
    if alone.status_code == 200:
        assert second["labels"] == alone.json()["results"][0]["labels"]
    else:
        assert second["error"]["code"] == alone.json()["code"]


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_whatever_bytes_are_sent_are_answered(client: TestClient, content: bytes) -> None:
    assert post(client, content).status_code in (200, 400, 422)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_gone_mad_is_503_and_never_a_number(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    original = BundlePredictor.columns

    def columns(self: BundlePredictor, prepared: Any) -> Columns:
        found = original(self, prepared)
        found.probabilities["urgency"][:, 0] = value
        return found

    monkeypatch.setattr(BundlePredictor, "columns", columns)
    response = post(client, b'{"text": "a"}')
    assert (response.status_code, response.json()["code"]) == (503, "model_failed")
    batch = post(client, b'{"items": [{"text": "a"}]}')
    assert batch.json()["results"][0]["error"]["code"] == "model_failed"


HOSTILE_VALUES = ["a\r\nX-Evil: 1", "\x1b[31mred", "\u202eabc", '"}\n{"level": "fake"}', "é", "x" * 10_000, ""]


@pytest.mark.parametrize("value", HOSTILE_VALUES)
def test_nothing_that_is_sent_makes_a_second_line_in_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    caplog.set_level(logging.INFO)
    names = ("X-Request-ID", "User-Agent", "Referer", "X-Forwarded-For")
    response = client.post(
        "/v1/classify",
        content=json.dumps(dict.fromkeys(("text", "id", "channel", "customer_ref", "created_at"), value)),
        headers={**dict.fromkeys(names, value.encode()), "Content-Type": "application/json"},  # type: ignore[dict-item]
    )
    assert response.status_code in (200, 400, 422)
    assert "X-Evil" not in response.headers
    for record in caplog.records:
        line = JsonLines().format(record)
        assert line.isascii()
        assert "\n" not in line
        assert json.loads(line)["level"] != "fake"
        assert value == "" or value not in line


CANARIES = [f"139{i:08d}" for i in range(50)]


def test_no_log_figure_or_error_ever_holds_what_customers_wrote(
    start_server: Callable[..., Any], linear_bundle: Path
) -> None:
    server = start_server("--model", str(linear_bundle))
    told: list[str] = []
    with httpx.Client(base_url=server.url) as client:
        for phone in CANARIES:
            text = f"电话{phone}快联系我"
            for content in (
                json.dumps({"text": text, "customer_ref": phone, "id": phone, "metadata": {phone: phone}}),
                json.dumps({"items": [{"text": text}, {"text": phone, "id": [phone]}, phone]}),
                json.dumps({"text": [text]}),
                json.dumps({"text": text, phone: 1}),
                json.dumps({"text": text, "created_at": phone}),
                json.dumps({"text": text + "\ud800"}),
                json.dumps({"text": text + "\0"}),
                f'{{"text": "{text}", "text": "{phone}"}}',
                f'{{"text": "{text}"',
            ):
                response = client.post("/v1/classify", content=content.encode(), headers=JSON)
                if response.status_code != 200:
                    told.append(response.text)
                told.extend(json.dumps(entry) for entry in response.json().get("results", []) if "error" in entry)
            told.append(client.get(f"/{phone}?q={phone}").text)
            told.append(client.request("PUT", f"/v1/labels?q={phone}", headers={"X-Phone": phone}).text)
            told.append(client.get("/health/live", headers={"Host": f"{phone}.example"}).text)
            told.append(client.post("/v1/classify", content=phone.encode(), headers={"Content-Type": phone}).text)
        told.append(client.get("/metrics").text)
    server.process.terminate()
    server.process.wait(20)
    told.append(server.log.read_text(encoding="utf-8"))
    assert len(told) > 500
    assert [phone for phone in CANARIES if any(phone in entry for entry in told)] == []
