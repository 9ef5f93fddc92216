"""Who may do what, over HTTP: no key, a bad one, the wrong scope, too many requests."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

import fankui
from serving.scopes import NEEDED

JSON = {"Content-Type": "application/json"}
COMMENT = {"text": "快递太慢了"}


def bearer(shown: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shown}"}


@pytest.fixture
def client(
    make_client: Callable[..., TestClient],
    make_key: Callable[..., str],
    keys_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TestClient:
    """One that strangers can reach, and that looks for keys that it does not know without waiting."""
    monkeypatch.setattr("serving.key_ring._LEAST", 0.0)
    make_key("score", name="other")
    return make_client(host="0.0.0.0", keys_file=keys_file, store=str(tmp_path / "store.db"))


def ask(client: Any, line: str, headers: dict[str, str]) -> httpx.Response:
    method, _, path = line.partition(" ")
    content = b"{}" if method == "POST" else None
    answer: httpx.Response = client.request(
        method, path.replace("{id}", "a1"), content=content, headers={**JSON, **headers}
    )
    return answer


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
    return response.status_code, response.json()["code"]


GUARDED = [line for line, needed in NEEDED.items() if needed]


@pytest.mark.parametrize("line", GUARDED)
def test_every_path_asks_for_a_key_and_its_scope(client: TestClient, make_key: Callable[..., str], line: str) -> None:
    nobody = ask(client, line, {})
    assert problem(nobody) == (401, "key_missing")
    assert nobody.headers["WWW-Authenticate"] == 'Bearer realm="fankui"'
    stranger = ask(client, line, bearer("fk_" + "0" * 12 + "_" + "0" * 72))
    assert problem(stranger) == (401, "key_invalid")
    assert stranger.headers["WWW-Authenticate"] == 'Bearer realm="fankui", error="invalid_token"'
    for scope in ("score", "write", "read", "admin"):
        answer = ask(client, line, bearer(make_key(scope, name=scope)))
        if scope in NEEDED[line] or scope == "admin":
            assert answer.status_code not in (401, 403)
        else:
            assert problem(answer) == (403, "scope_missing")
            names = " ".join(sorted(NEEDED[line]))
            assert answer.headers["WWW-Authenticate"] == (
                f'Bearer realm="fankui", error="insufficient_scope", scope="{names}"'
            )


def test_health_is_open_and_what_is_not_there_is_told_to_those_with_a_key(
    client: TestClient, make_key: Callable[..., str]
) -> None:
    assert [client.get(f"/health/{name}").status_code for name in ("live", "ready")] == [200, 200]
    assert [client.get(path).status_code for path in ("/nothing", "/docs", "/openapi.json", "/v1/feedback/")] == [
        401
    ] * 4
    key = bearer(make_key("score"))
    assert problem(client.get("/nothing", headers=key)) == (404, "not_found")
    assert problem(client.delete("/v1/classify", headers=key)) == (405, "method_not_allowed")


@pytest.mark.parametrize("after", ["%0A", "%0D", "%00", "/", "%2F", ";x=1", "?", "%20", ".", "/.", "%23"])
@pytest.mark.parametrize(
    "path", ["/v1/feedback", "/v1/export", "/v1/feedback/a1", "/v1/feedback/a1/original", "/metrics"]
)
def test_no_spelling_of_a_path_goes_around_its_scope(
    client: TestClient, make_key: Callable[..., str], path: str, after: str
) -> None:
    key, writer = bearer(make_key("score")), bearer(make_key("write", name="writer"))
    assert client.post("/v1/feedback", json={**COMMENT, "id": "a1"}, headers=writer).status_code == 201
    for spelt in (path + after, path.replace("/v1", f"/v1{after}"), path.upper(), "/" + path, f"/v1/..{path}"):
        answer = client.get(f"http://127.0.0.1{spelt}", headers=key)
        assert answer.status_code in (403, 404), spelt
        assert "快递" not in answer.text


BAD = [
    "", "Bearer", "Bearer ", "Basic Zm9vOmJhcg==", "Bearer é", b"Bearer \xff\xfe", "Bearer " + "x" * 10_000,
    "fk_" + "0" * 85, "Bearer fk_" + "0" * 12 + "_" + "é" * 72, "Bearer \t", "bearer null",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key"])
def test_no_header_is_too_strange(client: TestClient, name: str, value: str | bytes) -> None:
    raw = value.encode() if isinstance(value, str) else value
    answer = client.post("/v1/classify", json=COMMENT, headers=[(name.encode(), raw)])
    assert problem(answer) in ((401, "key_missing"), (401, "key_invalid"))


def test_either_header_will_do(client: TestClient, make_key: Callable[..., str]) -> None:
    shown = make_key("score")
    for headers in (bearer(shown), {"X-Api-Key": shown}, {"Authorization": f"bearer  {shown} "}):
        assert client.post("/v1/classify", json=COMMENT, headers=headers).status_code == 200
    for params in ({"key": shown}, {"api_key": shown}, {"access_token": shown}):
        assert client.post("/v1/classify", json=COMMENT, params=params).status_code == 401


def test_used_up_and_when_to_come_back(client: TestClient, make_key: Callable[..., str]) -> None:
    key = bearer(make_key("score", rate=3))
    answers = [client.post("/v1/classify", json=COMMENT, headers=key) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
    assert problem(answers[3]) == (429, "rate_limited")
    assert 19 <= int(answers[3].headers["Retry-After"]) <= 20
    assert client.get("/health/ready", headers=key).status_code == 200


def test_idempotency_keys_and_comments_belong_to_the_key(client: TestClient, make_key: Callable[..., str]) -> None:
    one, two = (bearer(make_key("write", name=name)) for name in ("one", "two"))

    def post(key: dict[str, str], body: dict[str, str]) -> httpx.Response:
        return client.post("/v1/feedback", json=body, headers={**key, "Idempotency-Key": "k"})

    first = post(one, COMMENT)
    assert post(one, COMMENT).headers["Idempotent-Replayed"] == "true"
    assert post(two, COMMENT).json()["id"] != first.json()["id"]
    named = {**COMMENT, "id": "a1"}
    assert client.post("/v1/feedback", json=named, headers=one).status_code == 201
    assert problem(client.post("/v1/feedback", json=named, headers=two)) == (409, "feedback_exists")


def test_on_the_loopback_keys_are_asked_for_once_there_is_one(
    make_client: Callable[..., TestClient], tmp_path: Path
) -> None:
    store = str(tmp_path / "store.db")
    near = make_client(store=store, key_seconds=0.1)
    assert near.post("/v1/classify", json=COMMENT).status_code == 200
    assert near.get("/v1/feedback").status_code == 200
    with near:  # its tasks run
        assert fankui.run(["keys", "create", "a", "--scope", "score", "--store", store]) == 0
        deadline = time.monotonic() + 10
        while near.post("/v1/classify", json=COMMENT).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert problem(near.post("/v1/classify", json=COMMENT)) == (401, "key_missing")
        assert near.get("/metrics").status_code == 200
        assert near.get("/docs").status_code == 200


def test_behind_a_proxy_nobody_is_asked(make_client: Callable[..., TestClient], tmp_path: Path) -> None:
    client = make_client(host="0.0.0.0", no_keys=True, store=str(tmp_path / "store.db"))
    assert client.get("/v1/feedback").status_code == 200
    assert client.post("/v1/classify", json=COMMENT, headers=bearer("anything")).status_code == 200


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert fankui.run(list(arguments)) == 0
    return capsys.readouterr().out.strip()


def test_two_workers_count_together_and_learn_of_keys(
    start_server: Callable[..., Any],
    linear_bundle: Path,
    store_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = ("--store", store_url)
    shown = run("keys", "create", "shop", "--scope", "score", "--rate", "20", *at, capsys=capsys)
    server = start_server("--model", str(linear_bundle), "--workers", "2", *at)
    (starting,) = [event for event in server.logged() if event["event"] == "starting"]
    assert starting["api_keys"] is True

    def classify(key: str, connections: int = 1) -> list[int]:
        # Each on a connection of its own, which the kernel gives to either worker.
        return [
            httpx.post(f"{server.url}/v1/classify", json=COMMENT, headers=bearer(key)).status_code
            for _ in range(connections)
        ]

    began = time.monotonic()
    statuses = classify(shown, 40)
    refilled = (time.monotonic() - began) * 20 / 60
    assert 20 <= statuses.count(200) <= 20 + refilled + 1
    assert set(statuses) == {200, 429}
    # A new string works in every worker at once, the old one beside it.
    other = run("keys", "create", "other", "--scope", "score", *at, capsys=capsys)
    time.sleep(1.1)
    assert classify(other, 10) == [200] * 10
    changed = run("keys", "rotate", "other", *at, capsys=capsys)
    time.sleep(1.1)
    assert classify(changed, 10) + classify(other, 10) == [200] * 20
    run("keys", "revoke", "other", *at, capsys=capsys)
    time.sleep(6)
    assert classify(changed, 10) + classify(other, 10) == [401] * 20
    server.process.terminate()
    assert server.process.wait(20) == 0
    log = server.log.read_text(encoding="utf-8")
    assert not any(secret[16:] in log for secret in (shown, other, changed))
    assert {event.get("key") for event in server.logged() if event["event"] == "request"} >= {shown[3:15], other[3:15]}
    rows = run("keys", "list", "--json", *at, capsys=capsys)
    assert '"last_used_at": "20' in rows


def test_a_large_body_without_a_key_is_not_read(
    start_server: Callable[..., Any], linear_bundle: Path, keys_file: Path, make_key: Callable[..., str]
) -> None:
    make_key("score")
    server = start_server("--model", str(linear_bundle), "--keys-file", str(keys_file))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        head = "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 1000)
        answer = b""
        while b"key_missing" not in answer and (read := connection.recv(65536)):
            answer += read  # before the rest was sent
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer.lower()
    with httpx.Client(base_url=server.url) as client:
        # Without a body the connection lives on.
        assert [client.get("/v1/labels").status_code for _ in range(2)] == [401, 401]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_open_address_without_keys_is_one_line(linear_bundle: Path, tmp_path: Path, workers: str) -> None:
    options = ("--model", str(linear_bundle), "--host", "0.0.0.0", "--port", "8765", "--workers", workers)
    ended = subprocess.run(
        [sys.executable, "-m", "fankui", "serve", *options],
        cwd=Path(__file__).parents[2],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("fankui: --host: others than this machine can reach that address")
    assert ended.stderr.count("\n") == 1
