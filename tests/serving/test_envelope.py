"""What surrounds every request."""

import json
import logging
import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from serving.envelope import host_name
from serving.logs import JsonLines

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.mark.parametrize("path", ["/health/live", "/nothing", "/v1/classify", "/openapi.json"])
def test_every_answer_carries_the_security_headers_and_an_id(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert {name: headers[name] for name in SECURITY} == SECURITY
    assert re.fullmatch(r"[0-9a-f]{32}", headers["X-Request-ID"])
    assert "Server" not in headers
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("given", ["a", "7f3e-11.x_Y", "z" * 128])
def test_a_plain_request_id_is_kept(client: TestClient, given: str) -> None:
    assert client.get("/health/live", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "z" * 129, "a b", "a;b", '{"x":1}', "\x1b[31m", "é".encode()])
def test_any_other_request_id_is_replaced(client: TestClient, given: str | bytes) -> None:
    told = client.get("/health/live", headers={"X-Request-ID": given}).headers["X-Request-ID"]  # type: ignore[dict-item]
    assert re.fullmatch(r"[0-9a-f]{32}", told)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example"])
def test_on_the_loopback_other_hosts_are_refused(client: TestClient, host: str) -> None:
    response = client.get("/v1/labels", headers={"Host": host})
    assert (response.status_code, response.json()["code"]) == (400, "host_unknown")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
def test_the_names_of_the_loopback_are_known(client: TestClient, host: str) -> None:
    assert client.get("/health/live", headers={"Host": host}).status_code == 200


def test_host_names_lose_their_port() -> None:
    hosts = ("a:1", "[::1]:2", "[::1]", "B")
    assert [host_name([(b"host", host.encode())]) for host in hosts] == ["a", "::1", "::1", "b"]
    assert host_name([]) == ""


def test_an_open_server_takes_any_host_unless_told_otherwise(make_client: Callable[..., TestClient]) -> None:
    headers = {"Host": "api.example"}
    assert make_client(host="0.0.0.0", no_keys=True).get("/health/live", headers=headers).status_code == 200
    narrow = make_client(host="0.0.0.0", no_keys=True, allowed_hosts=("other.example",))
    assert narrow.get("/health/live", headers=headers).status_code == 400


def test_an_exception_is_told_by_its_type_and_place_alone(
    make_app: Callable[..., FastAPI], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    async def broken() -> None:
        raise RuntimeError("a comment with 13800138000 in it")

    app.add_api_route("/broken", broken)
    caplog.set_level(logging.INFO, logger="fankui.serving")
    response = TestClient(app, base_url="http://127.0.0.1").get("/broken")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert response.json()["detail"] == "the server failed at this request; report the request_id to those who run it"
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "fankui.serving"]
    assert not any("13800138000" in line for line in [*lines, response.text])
    told = next(json.loads(line) for line in lines if '"internal_error"' in line)
    assert told["error"] == "RuntimeError"
    assert told["at"][-1].startswith("test_envelope.py:")
    assert told["request_id"] == response.headers["X-Request-ID"]


def test_one_line_a_request(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fankui.serving")
    client.post("/v1/classify", json={"items": [{"text": "快递太慢了"}, {"text": ""}]}, headers={"X-Request-ID": "r1"})
    (record,) = [record for record in caplog.records if record.name == "fankui.serving"]
    told = json.loads(JsonLines().format(record))
    assert isinstance(told.pop("ms"), float)
    assert told.pop("time").endswith("+00:00")
    assert told.pop("model_version").startswith("small@")
    assert told == {
        "level": "info",
        "event": "request",
        "request_id": "r1",
        "method": "POST",
        "path": "/v1/classify",
        "status": 200,
        "count": 2,
        "errors": 1,
    }


def test_paths_and_methods_of_others_stay_out_of_the_log(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fankui.serving")
    client.request("BREW", "/13800138000?q=13800138000")
    (record,) = [record for record in caplog.records if record.name == "fankui.serving"]
    told = json.loads(JsonLines().format(record))
    assert (told["method"], told["path"], told["status"]) == ("other", "unknown", 404)
    assert "13800138000" not in str(told)
