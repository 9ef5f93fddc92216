"""Deadlines and limits below HTTP, against a real server: what uvicorn alone would leave open for ever."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any], linear_bundle: Path) -> Any:
    return start_server("--model", str(linear_bundle), "--read-timeout", "0.6", "--max-body-bytes", "4096")


def connect(server: Any, *parts: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    for part in parts:
        connection.sendall(part)
    return connection


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and body of what comes until the server closes."""
    received = b""
    with connection:
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"x-request-id" in head.lower()
    return int(head.split()[1]), json.loads(body)


HEADERS = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_fifty_slow_senders_neither_keep_others_waiting_nor_stay(server: Any) -> None:
    slow = [connect(server, HEADERS) for _ in range(25)]
    slow += [connect(server, HEADERS, b"Content-Length: 100\r\n\r\n{") for _ in range(25)]
    with httpx.Client() as client:  # making one takes longer than the request
        started = time.perf_counter()
        assert client.post(f"{server.url}/v1/classify", json={"text": "好"}).status_code == 200
        assert time.perf_counter() - started < 0.3
    answers = [answer(connection) for connection in slow]
    assert time.perf_counter() - started < 3
    assert {(status, problem["code"]) for status, problem in answers} == {(408, "request_timeout")}
    assert answers[0][1]["detail"] == "expected all headers within 0.6 s of the first byte"


def test_who_connects_and_says_nothing_is_hung_up_on(server: Any) -> None:
    with connect(server) as silent:
        assert silent.recv(1) == b""


def test_slow_headers_on_a_kept_connection_are_no_way_around(server: Any) -> None:
    with connect(server, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert b"200 OK" in connection.recv(65536)
        time.sleep(0.8)  # idle between requests is fine
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        started = time.perf_counter()
        assert answer(connection)[0] == 408
        assert time.perf_counter() - started < 3


def test_headers_without_end_are_431(server: Any) -> None:
    with connect(server, HEADERS) as connection:
        started = time.perf_counter()
        with pytest.raises(OSError, match=r"Broken pipe|Connection reset"):
            while time.perf_counter() - started < 5:
                connection.sendall(b"X-More: " + b"a" * 1000 + b"\r\n")
        assert time.perf_counter() - started < 0.5  # long before the deadline
    assert httpx.get(f"{server.url}/health/live").status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        HEADERS + b"Content-Length: ten\r\n\r\n",
        HEADERS + b"Content-Length: -1\r\n\r\n",
        HEADERS + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEADERS + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        HEADERS + b'Content-Length: 13\r\n\r\n{"text": "a"}and more',
    ],
)
def test_bad_http_is_400(server: Any, request_bytes: bytes) -> None:
    status, problem = answer(connect(server, request_bytes))
    assert (status, problem["code"]) == (400, "http_invalid")


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_ten_megabytes_are_413_and_not_kept(server: Any, chunked: bool) -> None:
    def resident() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    content = b'{"text": "' + b"a" * 10_000_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    before = resident()
    sent: Any = iter([content[i : i + 65536] for i in range(0, len(content), 65536)]) if chunked else content
    response = httpx.post(f"{server.url}/v1/classify", content=sent, headers=headers)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert resident() - before < 4_000_000
