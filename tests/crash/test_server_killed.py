"""`fankui serve --workers` where a process is killed with -9."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
from sqlalchemy import select

from serving.store.database import open_database
from serving.store.leases import CLOCK, HOLD
from serving.store.tables import leases


def workers_of(parent: int) -> list[int]:
    """Process ids of the workers that live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if int(state[1]) == parent and state[0] != "Z" and b"spawn_main" in command:
                found.append(int(entry.name))
    return sorted(found)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def counted(server: Any) -> float:
    page = httpx.get(f"{server.url}/metrics").text
    return sum(float(line.split()[1]) for line in page.splitlines() if line.startswith("fankui_comments_total"))


def ask(server: Any) -> int:
    return httpx.post(f"{server.url}/v1/classify", json={"text": "快递太慢了"}, timeout=10).status_code


def test_the_others_answer_and_the_killed_worker_is_started_again(
    start_server: Callable[..., Any], linear_bundle: Path, tmp_path: Path
) -> None:
    server = start_server("--model", str(linear_bundle), "--workers", "2", TMPDIR=str(tmp_path))
    before = workers_of(server.process.pid)
    assert len(before) == 2
    assert [ask(server) for _ in range(8)] == [200] * 8
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: before[0] not in workers_of(server.process.pid))
    assert [ask(server) for _ in range(20)] == [200] * 20
    wait_for(lambda: any(event["event"] == "worker_started" for event in server.logged()))
    after = workers_of(server.process.pid)
    assert len(after) == 2
    assert before[1] in after
    assert [ask(server) for _ in range(8)] == [200] * 8
    died = [event for event in server.logged() if event["event"] == "worker_died"]
    assert [(event["process"], event["exit_code"]) for event in died] == [(before[0], -signal.SIGKILL)]
    # What the dead one counted is not forgotten; what was under way in it is.
    assert counted(server) == 36
    assert "fankui_comments_in_flight 0.0" in httpx.get(f"{server.url}/metrics").text
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert workers_of(server.process.pid) == []


def test_without_their_parent_the_workers_end(
    start_server: Callable[..., Any], linear_bundle: Path, tmp_path: Path
) -> None:
    server = start_server("--model", str(linear_bundle), "--workers", "2", TMPDIR=str(tmp_path))
    workers = workers_of(server.process.pid)
    server.process.kill()
    server.process.wait(20)
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_what_the_killed_worker_held_is_taken_over_before_its_time_is_over(
    start_server: Callable[..., Any], linear_bundle: Path, store_url: str, tmp_path: Path
) -> None:
    database = open_database(store_url, timeout=5)
    clock = select(leases).where(leases.c.name == CLOCK)

    def held() -> Any:
        return database.read(lambda connection: connection.execute(clock).one_or_none())

    options = ("--model", str(linear_bundle), "--workers", "2", "--store", store_url)
    server = start_server(*options, TMPDIR=str(tmp_path))
    wait_for(lambda: held() is not None)
    last = held()
    killed = int(last.holder.split("-")[-2])  # host, process, chance
    assert killed in workers_of(server.process.pid)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: held().term == last.term + 1)
    now = held()
    assert now.holder != last.holder
    # Read off the rows themselves: it was taken while it would still have been the dead one's.
    assert now.held_until - HOLD < last.held_until
    assert [event for event in server.logged() if event["event"] == "leases_not_freed"] == []
    database.close()
