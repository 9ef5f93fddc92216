"""Figures that a busy machine cannot show, with real connections: by hand, `-m load -s`, on one that is idle."""

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest

from tests.conftest import COMMENTS
from tests.contract.test_openapi import SNAPSHOT

pytestmark = [pytest.mark.load, pytest.mark.timeout(1200)]

SEED = int(os.environ.get("FANKUI_SEED", "20"))
JSON = {"Content-Type": "application/json"}
TEXTS = [text for text, *_ in COMMENTS]

ODD = [
    "\ud800",
    "\0",
    "\u202e",
    "\u200b",
    "\ufdfa",
    "龘",
    "投" * 3000,
    "1" * 400,
    "[" * 50,
    "\r\n",
    "🈲",
    "ﷺ",
    "\x1b[31m",
]


def tell(figure: str) -> None:
    sys.stdout.write(f"\n{figure}\n")


def flipped(choose: random.Random, good: bytes) -> bytes:
    body = bytearray(good)
    for _ in range(choose.randrange(1, 6)):
        body[choose.randrange(len(body))] ^= 1 << choose.randrange(8)
    return bytes(body)


KINDS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    lambda choose, good: choose.randbytes(choose.randrange(2000)),
    flipped,
    lambda choose, good: good[: choose.randrange(len(good))],
    lambda choose, good: json.dumps(
        {"text": "".join(choose.choices(ODD, k=5)), choose.choice(["x", "id"]): 1}
    ).encode(),
    lambda choose, good: json.dumps({"items": [odd_value(choose, 4) for _ in range(choose.randrange(70))]}).encode(),
    lambda choose, good: (choose.choice(["[", '{"a":', '{"items":[']) * choose.randrange(1, 50_000)).encode(),
    lambda choose, good: (
        b'{"text": "a", "metadata": {"x": ' + choose.choice([b"NaN", b"1e999", b"7" * 5000, b"-0"]) + b"}}"
    ),
    lambda choose, good: json.dumps(odd_value(choose, 5)).encode(),
)


def hostile(choose: random.Random) -> bytes:
    """A body that nobody means, or nearly one that somebody does."""
    return choose.choice(KINDS)(choose, json.dumps({"text": choose.choice(TEXTS), "id": "a"}).encode())


def odd_value(choose: random.Random, depth: int) -> Any:
    if depth and choose.random() < 0.6:
        if choose.random() < 0.5:
            return [odd_value(choose, depth - 1) for _ in range(choose.randrange(4))]
        names = ["text", "id", "items", "created_at", "metadata", "customer_ref", choose.choice(ODD)]
        return {choose.choice(names): odd_value(choose, depth - 1) for _ in range(choose.randrange(4))}
    return choose.choice([None, True, 0, -1.5, 2**70, float("inf"), "", choose.choice(TEXTS), choose.choice(ODD)])


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("path", ["/v1/classify", "/v1/feedback"])
def test_two_thousand_hostile_bodies(
    start_server: Callable[..., Any], linear_bundle: Path, tmp_path: Path, path: str, workers: str
) -> None:
    documented = {int(status) for status in json.loads(SNAPSHOT.read_text())["paths"][path]["post"]["responses"]}
    server = start_server(
        *("--model", str(linear_bundle), "--cache", "0", "--max-items", "64", "--store", str(tmp_path / "s.db")),
        *("--workers", workers),
    )
    choose = random.Random(SEED)
    statuses: Counter[int] = Counter()
    slowest = 0.0
    with httpx.Client(base_url=server.url) as client:
        client.post(path, content=b"{}", headers=JSON)  # the connection is made
        for number in range(2000):
            body = hostile(choose)
            started = time.perf_counter()
            response = client.post(path, content=body, headers=JSON)
            took = time.perf_counter() - started
            assert response.status_code in documented, (number, body[:200])
            assert response.status_code < 500, (number, body[:200])
            assert took < 0.2, (number, took, body[:200])
            slowest = max(slowest, took)
            statuses[response.status_code] += 1
    tell(f"{path}, {workers} workers: the slowest of 2,000 after {1000 * slowest:.0f} ms")
    assert statuses[400] > 200
    assert statuses[422] > 200


@pytest.mark.parametrize("workers", [1, 2])
def test_overload_is_refused_within_20_ms(start_server: Callable[..., Any], workers: int) -> None:
    """Clients beyond what fits are told at once, while the model is busy with long comments."""
    server = start_server(
        *("--model", "default", "--max-items", "8", "--max-in-flight", "8", "--cache", "0", "--workers", str(workers))
    )
    long = {"items": [{"text": TEXTS[0] * 80 + str(i)} for i in range(8)]}
    refused: list[float] = []
    ended = threading.Event()

    def keep_busy() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not ended.is_set():
                client.post("/v1/classify", json=long)

    busy = [threading.Thread(target=keep_busy) for _ in range(2 * workers)]
    for thread in busy:
        thread.start()
    deadline = time.monotonic() + 20
    with httpx.Client(base_url=server.url, timeout=60) as client:
        while len(refused) < 100 and time.monotonic() < deadline:
            started = time.perf_counter()
            answer = client.post("/v1/classify", json={"items": [{"text": "快递很快"}] * 8})
            took = time.perf_counter() - started
            assert answer.status_code in (200, 429)
            if answer.status_code == 429:
                assert answer.headers["Retry-After"] == "1"
                refused.append(took)
            time.sleep(0.005)
    ended.set()
    for thread in busy:
        thread.join()
    assert len(refused) >= 20
    half, most, nearly_all = (1000 * sorted(refused)[int(share * len(refused))] for share in (0.5, 0.95, 0.99))
    tell(f"{workers} workers: p50 {half:.1f} ms, p95 {most:.1f} ms, p99 {nearly_all:.1f} ms of {len(refused)}")
    # This process makes the load too: what one in twenty waits for is its own turn.
    assert sorted(refused)[int(0.95 * len(refused))] < 0.02, f"the slowest after {max(refused) * 1000:.1f} ms"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_memory_stays_flat_for_ten_minutes_at_half_load(
    start_server: Callable[..., Any], tmp_path: Path, workers: str
) -> None:
    """Half of what one client gets answered; different comments, a tenth of them kept.

    Counted is what serves: the process that looks for alerts now and then comes and goes.
    """
    minutes = float(os.environ.get("FANKUI_SOAK_MINUTES", "10"))
    store = str(tmp_path / "store.db")
    server = start_server("--model", "default", "--cache", "1000", "--store", store, "--workers", workers)
    parent = psutil.Process(server.process.pid)
    processes = [parent, *(child for child in parent.children() if "spawn_main" in " ".join(child.cmdline()))]
    assert len(processes) == (1 if workers == "1" else 3)
    choose = random.Random(SEED)
    sizes: list[tuple[float, float]] = []
    began = time.monotonic()
    with httpx.Client(base_url=server.url, timeout=30) as client:
        number = 0
        while (now := time.monotonic()) < began + minutes * 60:
            number += 1
            body = {"text": f"{choose.choice(TEXTS)}，单号{choose.randrange(10**9)}"}
            answer = client.post("/v1/feedback" if number % 10 == 0 else "/v1/classify", json=body)
            assert answer.status_code in (200, 201)
            if number % 200 == 0:
                sizes.append((now - began, sum(one.memory_info().rss for one in processes) / 2**20))
            time.sleep(time.monotonic() - now)  # as long as the answer took
        figures = client.get("/metrics").text
    # What caches and allocators take at first is not growth.
    settled = [(at, size) for at, size in sizes if at > minutes * 60 * 0.3]
    times, rss = [at / 60 for at, _ in settled], [size for _, size in settled]
    middle, mean = sum(times) / len(times), sum(rss) / len(rss)
    slope = sum((at - middle) * (size - mean) for at, size in zip(times, rss, strict=True)) / sum(
        (at - middle) ** 2 for at in times
    )
    tell(f"{workers} workers: {number} requests in {minutes:g} minutes, {mean:.0f} MiB, {slope:+.2f} MiB a minute")
    assert slope < 1.0, f"{number} requests, {mean:.0f} MiB, {slope:+.2f} MiB a minute"
    assert "fankui_comments_in_flight 0.0" in figures
    assert max(one.num_fds() for one in processes) < 100
