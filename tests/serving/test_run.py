"""`fankui serve` as a process of its own: start, answer, end."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from typer.testing import CliRunner

import fankui

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any], linear_bundle: Path) -> Any:
    return start_server("--model", str(linear_bundle))


def test_it_answers_and_logs_without_text(server: Any) -> None:
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/health/ready").json()["status"] == "ready"
        response = client.post("/v1/classify", json={"text": "箱子压扁了，玻璃碎一地", "id": "z"})
        assert response.json()["results"][0]["id"] == "z"
        assert "Server" not in response.headers
    deadline = time.monotonic() + 5
    while len(events := server.logged()) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)  # a request's line follows its answer
    assert events[0]["event"] == "starting"
    assert events[0]["url"] == server.url
    assert events[0]["model_version"].startswith("small@")
    assert [(event["path"], event["status"]) for event in events if event["event"] == "request"] == [
        ("/health/ready", 200),
        ("/v1/classify", 200),
    ]
    assert "压扁" not in server.log.read_text(encoding="utf-8")
    assert "\\u538b\\u6241" not in server.log.read_text(encoding="utf-8")


def test_several_clients_at_once(server: Any) -> None:
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url) as client:
            for _ in range(10):
                statuses.append(client.post("/v1/classify", json={"items": [{"text": "快递太慢了"}] * 8}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 60


def test_sigterm_lets_the_request_in_flight_finish(start_server: Callable[..., Any], linear_bundle: Path) -> None:
    server = start_server("--model", str(linear_bundle), FANKUI_MAX_ITEMS="256")
    # Long comments in many different characters: long enough under way to be met by the signal.
    text = "".join(chr(0x4E00 + i * 7) for i in range(1900))
    items = [{"text": text[i:] + text[:i]} for i in range(0, 256)]
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{server.url}/v1/classify", json={"items": items}, timeout=60))

    asking = threading.Thread(target=ask)
    asking.start()
    in_flight = 0.0
    while not in_flight and asking.is_alive():
        page = httpx.get(f"{server.url}/metrics").text
        in_flight = float(page.split("\nfankui_comments_in_flight ")[1].split("\n")[0])
    server.process.send_signal(signal.SIGTERM)
    asking.join()
    assert server.process.wait(20) in (0, -signal.SIGTERM)
    assert 0 < in_flight <= 256
    assert answers[0].status_code == 200
    assert len(answers[0].json()["results"]) == 256
    told = [event for event in server.logged() if event["event"] in ("stopping", "stopped")]
    assert [(event["event"], event["process"]) for event in told] == [
        ("stopping", server.process.pid),
        ("stopped", server.process.pid),
    ]


def test_options_come_from_the_environment_too(start_server: Callable[..., Any], linear_bundle: Path) -> None:
    server = start_server(FANKUI_MODEL=str(linear_bundle), FANKUI_MAX_ITEMS="2", FANKUI_ALLOWED_HOSTS="Dev.example b")
    response = httpx.post(
        f"{server.url}/v1/classify", json={"items": [{"text": "好"}] * 3}, headers={"Host": "dev.example"}
    )
    assert (response.status_code, response.json()["code"]) == (413, "too_many_items")
    assert server.logged()[0]["origin"] == "FANKUI_MODEL"


def serve(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fankui", "serve", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_missing_model_is_one_line_and_exit_1(tmp_path: Path) -> None:
    ended = serve("--model", str(tmp_path / "none"))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"fankui: no model folder at {tmp_path / 'none'}; give a bundle's folder, 'default', or models:/NAME@ALIAS\n"
    )


def test_settings_out_of_range_are_usage_errors() -> None:
    assert serve("--port", "0").returncode == 2
    contradiction = serve("--max-items", "9", "--max-in-flight", "8")
    assert contradiction.returncode == 1
    assert contradiction.stderr.startswith("fankui: max_in_flight (8) is below max_items (9)")


def test_a_port_in_use_is_told_in_one_line(server: Any, linear_bundle: Path) -> None:
    ended = serve("--model", str(linear_bundle), "--port", str(server.port))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"fankui: cannot listen on 127.0.0.1 port {server.port}: Address already in use; choose another with --port\n"
    )


def test_ipv6(start_server: Callable[..., Any], linear_bundle: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = start_server("--model", str(linear_bundle), "--host", "::1")
    assert httpx.get(f"http://[::1]:{server.port}/health/live").status_code == 200


def test_help_names_every_option_and_its_variable() -> None:
    shown = CliRunner().invoke(fankui.application("serve"), ["serve", "--help"], env={"COLUMNS": "200"}).output
    for option in (
        "host",
        "port",
        "routing",
        "threads",
        "workers",
        "cache",
        "max-body-bytes",
        "max-items",
        "max-in-flight",
        "store",
        "store-timeout",
        "repeat-days",
    ):
        assert f"--{option}" in shown
        assert f"FANKUI_{option.replace('-', '_').upper()}" in shown
    assert "fankui serve --port 8000" in shown


def test_the_loop_and_the_parser_are_those_in_c(linear_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn
    import uvloop
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    from serving.app import create_app
    from serving.run import answer_requests
    from serving.settings import ServeSettings

    configs: list[uvicorn.Config] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: configs.append(server.config))
    monkeypatch.setattr("gc.freeze", lambda: None)  # it would keep what other tests made
    interval = sys.getswitchinterval()
    settings = ServeSettings(model=str(linear_bundle))
    app = create_app(settings)
    with socket.socket() as unused:
        answer_requests(app, unused, settings)
    sys.setswitchinterval(interval)
    app.state.engine.close()
    (config,) = configs
    config.load()
    assert config.get_loop_factory() is uvloop.new_event_loop
    assert issubclass(config.http_protocol_class, HttpToolsProtocol)
