"""Requests a minute, alone and of several processes together."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from serving.rate_limits import RateLimits


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["alone", "shared"])
def clock_and_limits(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    clock = Clock()
    limits = RateLimits(tmp_path / "rates" if request.param == "shared" else None, now=clock)
    yield clock, limits
    limits.close()


def test_a_minutes_requests_at_once_then_one_by_one(clock_and_limits: tuple[Clock, RateLimits]) -> None:
    clock, limits = clock_and_limits
    assert [limits.take("a" * 12, 6) for _ in range(8)] == [0] * 6 + [10, 10]
    assert limits.take("b" * 12, 6) == 0  # each key by itself
    clock.now += 9.5
    assert limits.take("a" * 12, 6) == 1
    clock.now += 0.5
    assert [limits.take("a" * 12, 6) for _ in range(2)] == [0, 10]
    clock.now += 3600
    assert [limits.take("a" * 12, 6) for _ in range(7)] == [0] * 6 + [10]


def test_more_keys_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.rate_limits._SLOTS", 4)
    limits = RateLimits(tmp_path / "rates", now=Clock())
    for i in range(9):
        assert [limits.take(f"{i:012x}", 2) for _ in range(3)] == [0, 0, 30]
    limits.close()


def spend(path: str, allowed: Any) -> None:
    limits = RateLimits(Path(path))
    for _ in range(400):
        if limits.take("0123456789ab", 300) == 0:
            with allowed.get_lock():
                allowed.value += 1


def test_processes_count_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    allowed = context.Value("i", 0)
    processes = [context.Process(target=spend, args=(str(tmp_path / "rates"), allowed)) for _ in range(2)]
    began = time.monotonic()
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    refilled = (time.monotonic() - began) * 300 / 60
    assert 300 <= allowed.value <= 300 + refilled + 1


def hold(path: str, held: Any) -> None:
    limits = RateLimits(Path(path))
    assert limits._lock()
    held.set()
    time.sleep(60)


def test_a_worker_that_hangs_with_the_lock_does_not_stop_the_others(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(str(tmp_path / "rates"), held))
    process.start()
    assert held.wait(30)
    limits = RateLimits(tmp_path / "rates")
    began = time.monotonic()
    assert [limits.take("a" * 12, 2) for _ in range(3)] == [0, 0, 30]
    assert time.monotonic() - began < 1.0
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert limits._lock()  # the kernel takes it from the dead
    limits.close()
