"""Several processes on one port, and the parent that looks after them. What a kill does is in tests/crash."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from models.bundle import open_bundle, write_bundle
from models.champion import keep_copy, write_champion

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any], linear_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    figures = tmp_path_factory.mktemp("figures")  # left behind there, because the fixture ends it with a kill
    return start_server("--model", str(linear_bundle), "--workers", "2", TMPDIR=str(figures))


def figures(server: Any) -> dict[str, float]:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_figures_are_those_of_all_workers(server: Any) -> None:
    for i in range(24):  # each on a connection of its own, so that either worker gets some
        response = httpx.post(f"{server.url}/v1/classify", json={"items": [{"text": f"第{i}件没到"}, {"text": ""}]})
        assert response.status_code == 200
    pages = [figures(server) for _ in range(6)]
    requests = 'fankui_requests_total{method="POST",path="/v1/classify",status="200"}'
    assert [page[requests] for page in pages] == [24] * 6
    version = server.logged()[0]["model_version"]
    assert pages[0][f'fankui_comments_total{{model_version="{version}",outcome="ok"}}'] == 24
    assert pages[0][f'fankui_comments_total{{model_version="{version}",outcome="error"}}'] == 24
    assert pages[0]["fankui_comments_in_flight"] == 0
    assert pages[0][f'fankui_model{{model_version="{version}"}}'] == 1


def test_one_line_says_that_it_starts(server: Any) -> None:
    (starting,) = [event for event in server.logged() if event["event"] == "starting"]
    assert (starting["workers"], starting["url"], starting["origin"]) == (2, server.url, "option")


def test_many_clients_at_once(server: Any) -> None:
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url) as client:
            for _ in range(10):
                statuses.append(client.post("/v1/classify", json={"items": [{"text": "快递太慢了"}] * 8}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 80


def serve(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fankui", "serve", "--workers", "2", *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", **environment}
    )


def test_a_start_that_fails_says_why_in_one_line(tmp_path: Path, server: Any, linear_bundle: Path) -> None:
    missing = serve("--model", str(tmp_path / "none"), "--port", "65123", TMPDIR=str(tmp_path))
    assert missing.returncode == 1
    assert missing.stderr == (
        f"fankui: no model folder at {tmp_path / 'none'}; give a bundle's folder, 'default', or models:/NAME@ALIAS\n"
    )
    taken = serve("--model", str(linear_bundle), "--port", str(server.port), TMPDIR=str(tmp_path))
    assert taken.returncode == 1
    assert taken.stderr == (
        f"fankui: cannot listen on 127.0.0.1 port {server.port}: Address already in use; choose another with --port\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_sigterm_reaches_every_worker_and_requests_finish(
    start_server: Callable[..., Any], linear_bundle: Path, tmp_path: Path
) -> None:
    server = start_server("--model", str(linear_bundle), "--workers", "2", TMPDIR=str(tmp_path))
    text = "".join(chr(0x4E00 + i * 7) for i in range(1900))
    body = json.dumps({"items": [{"text": text[i:] + text[:i]} for i in range(256)]})
    answers: list[httpx.Response] = []

    def ask() -> None:
        headers = {"Content-Type": "application/json"}
        answers.append(httpx.post(f"{server.url}/v1/classify", content=body, headers=headers, timeout=60))

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    while not figures(server)["fankui_comments_in_flight"] and asking[0].is_alive():
        pass
    assert len(list(tmp_path.iterdir())) == 1
    server.process.send_signal(signal.SIGTERM)
    for thread in asking:
        thread.join()
    assert server.process.wait(20) == 0
    assert [len(answer.json()["results"]) for answer in answers] == [256, 256]
    assert len({event["process"] for event in server.logged() if event["event"] == "stopped"}) == 2
    assert list(tmp_path.iterdir()) == []


def test_every_worker_follows_the_champion(
    start_server: Callable[..., Any], linear_bundle: Path, tmp_path: Path
) -> None:
    small, home = open_bundle(linear_bundle), tmp_path / "home"

    def promote(version: str) -> None:
        bundle = write_bundle(
            tmp_path / version,
            kind="linear",
            name=f"small{version}",
            schema=small.schema,
            calibration=small.calibration,
            files={name: small.read(name) for name in ("config.json", "vocabulary.json", "weights.safetensors")},
            metrics={},
            card="x",
        )
        write_champion(home, keep_copy(home, bundle, name="feedback", version=version))

    promote("1")
    server = start_server("--workers", "2", FANKUI_HOME=str(home), TMPDIR=str(tmp_path))
    promote("2")
    deadline, in_a_row = time.monotonic() + 20, 0
    while in_a_row < 12 and time.monotonic() < deadline:
        answer = httpx.post(f"{server.url}/v1/classify", json={"items": [{"text": "好"}, {"text": "坏"}]})
        assert answer.status_code == 200
        in_a_row = in_a_row + 1 if answer.json()["model_version"].startswith("feedback/2@") else 0
    assert in_a_row == 12
