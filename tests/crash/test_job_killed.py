"""Jobs whose server is killed, or that several workers could take: every row is scored into the results once."""

import json
import re
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
from sqlalchemy import select, update

from serving.store.database import open_database
from serving.store.tables import events, job_chunks, jobs
from tests.crash.test_store_killed import rows

PHONE = "13912345678"
ROWS = 12_000  # so many that a second server is up before they are scored


def upload(server: Any, count: int, key: str) -> str:
    text = "text,id\n" + "".join(f"第{i}单快递三天没到打{PHONE},{i}\n" for i in range(count))
    headers = {"Content-Type": "text/csv", "Idempotency-Key": key}
    answer = httpx.post(f"{server.url}/v1/jobs", content=text.encode(), headers=headers, timeout=60)
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def wait(server: Any, location: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while True:
        body: dict[str, Any] = httpx.get(f"{server.url}{location}", timeout=30).json()
        if until(body):
            return body
        assert time.monotonic() < deadline, body
        time.sleep(0.02)


def is_whole(server: Any, location: str, count: int) -> None:
    found = wait(server, location, lambda body: body["status"] not in ("queued", "running"))
    assert (found["status"], found["total"], found["done"], found["failed"]) == ("finished", count, count, 0)
    lines = [json.loads(line) for line in httpx.get(f"{server.url}{location}/results", timeout=60).text.splitlines()]
    assert [(line["row"], line["id"]) for line in lines] == [(i + 1, str(i)) for i in range(count)]
    assert all(line["labels"] for line in lines)


def let_go(store: str) -> None:
    """Of the job that a dead worker held: without it the next one has to wait for 15 seconds."""
    database = open_database(store, timeout=10)
    over = {"held_until": datetime.now(UTC)}
    database.write(lambda connection: connection.execute(update(jobs).where(jobs.c.status == "running").values(**over)))
    database.close()


def test_a_killed_job_goes_on_elsewhere_and_loses_no_row(
    start_server: Callable[..., Any], linear_bundle: Path, store_url: str
) -> None:
    options = ("--model", str(linear_bundle), "--store", store_url)
    first = start_server(*options)
    location = upload(first, ROWS, "k")
    second = start_server(*options)
    wait(first, location, lambda body: 0 < body["done"] < ROWS)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    (left,) = rows(store_url, jobs)
    assert (left.status, 0 < left.done < ROWS, left.chunks_done * 256) == ("running", True, left.done)
    let_go(store_url)
    # Killed once more, and started again at another time.
    wait(second, location, lambda body: body["done"] > left.done)
    second.process.send_signal(signal.SIGKILL)
    second.process.wait()
    let_go(store_url)
    third = start_server(*options)
    is_whole(third, location, ROWS)
    assert upload(third, ROWS, "k") == location
    (event,) = rows(store_url, events)
    assert (event.type, event.data["done"]) == ("job.finished", ROWS)
    for server in (first, second, third):
        assert PHONE not in server.log.read_text(encoding="utf-8")
        assert "快递" not in server.log.read_text(encoding="utf-8")
    assert not any(row.comments for row in rows(store_url, job_chunks))
    if "://" not in store_url:
        for file in Path(store_url).parent.glob("store.db*"):
            assert PHONE.encode() not in file.read_bytes()


def test_a_kill_while_it_is_sent_leaves_nothing_that_is_seen(
    start_server: Callable[..., Any], linear_bundle: Path, store_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    options = ("--model", str(linear_bundle), "--store", store_url)
    server = start_server(*options, TMPDIR=str(folder))

    def body() -> Any:
        yield f"text\n{PHONE}\n".encode() * 20_000
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        yield b"x"

    try:
        httpx.post(f"{server.url}/v1/jobs", content=body(), headers={"Content-Type": "text/csv"}, timeout=10)
        raise AssertionError("answered by a server that was killed")
    except httpx.HTTPError:
        pass
    # The link that readers went by stays: it pointed into the file descriptors of the process that is gone. And so may
    # a file of four letters with which Python tries whether it can write there.
    left = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in left if path.read_bytes() not in (b"", b"blat")] == []
    again = start_server(*options)
    assert httpx.get(f"{again.url}/v1/jobs").json()["items"] == []
    # Killed between two chunks: what was written so far is swept away, and the key is free when its time is over.
    again.process.terminate()
    again.process.wait()


def test_two_workers_share_jobs_and_a_stop_hands_them_over(
    start_server: Callable[..., Any], linear_bundle: Path, store_url: str, tmp_path: Path
) -> None:
    options = ("--model", str(linear_bundle), "--store", store_url, "--workers", "2")
    server = start_server(*options, TMPDIR=str(tmp_path))
    locations = [upload(server, 1_500, f"k{i}") for i in range(4)]
    # Live requests are answered meanwhile.
    assert httpx.post(f"{server.url}/v1/classify", json={"text": "快递三天没到"}, timeout=10).status_code == 200
    wait(server, locations[0], lambda body: body["done"] > 0)
    server.process.terminate()
    assert server.process.wait(30) == 0
    database = open_database(store_url, timeout=10)
    held = database.read(lambda connection: connection.scalars(select(jobs.c.holder)).all())
    database.close()
    assert set(held) == {None}  # nobody has to wait for a lease
    server = start_server(*options, TMPDIR=str(tmp_path))
    for location in locations:
        is_whole(server, location, 1_500)
    assert len(rows(store_url, events)) == 4
    assert [entry for entry in server.logged() if entry["level"] == "error"] == []
    page = httpx.get(f"{server.url}/metrics").text
    assert re.search(r'fankui_jobs_total{outcome="finished"} [1-4].0', page)
