"""A scoring of a large file that is killed, in whichever way, goes on and gives every row once; no process stays."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
ROWS = 80_000
THINGS = "桌椅床柜灯锅碗盆刀叉杯盘被枕伞鞋"
STATES = ("送得快", "又晚了", "坏了", "很好", "一般", "没人管", "冒烟了", "像新的一样")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Every text occurs about once: the cache must not make the run too short to be killed."""
    texts = [f"买的{THINGS[i % 16]}和{THINGS[i // 16 % 16]}{STATES[i % 8]}，第{i % 40_000}回" for i in range(ROWS)]
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"id": pa.array(range(ROWS), pa.int32()), "text": texts}), path, row_group_size=30_000)
    return path


def start(folder: Path, bundle: Path, *more: str) -> "subprocess.Popen[bytes]":
    command = ["score", "in.parquet", "-o", "out.parquet", "--model", str(bundle), "--workers", "2", "--json", *more]
    return subprocess.Popen(
        [sys.executable, str(ROOT / "fankui.py"), *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell that starts the tests in the background has them ignore Ctrl-C, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        start_new_session=True,
    )


def wait_for(process: "subprocess.Popen[bytes]", folder: Path, more_than: int) -> set[int]:
    """Until that many segments are kept; the run's processes, its own among them."""
    deadline = time.monotonic() + 120
    while len(list((folder / ".out.parquet.scoring").glob("*.answers"))) <= more_than:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return {process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))}


def all_gone(processes: set[int]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(one) and psutil.Process(one).status() != "zombie" for one in processes):
            return True
        time.sleep(0.05)
    return False


def finish(folder: Path, bundle: Path) -> dict[str, int]:
    out, errors = start(folder, bundle).communicate(timeout=240)
    assert errors == b""
    (told,) = json.loads(out)["files"]
    return dict(told)


def check_rows(folder: Path) -> None:
    found = pq.read_table(folder / "out.parquet")
    assert found["id"].to_pylist() == list(range(ROWS))
    assert found["error"].null_count == ROWS
    assert found["urgency"].null_count == 0
    assert not (folder / ".out.parquet.scoring").exists()


@pytest.mark.slow
def test_killed_twice_it_gives_every_row_once(source: Path, tmp_path: Path, linear_bundle: Path) -> None:
    kept = 0
    for _ in range(2):
        process = start(tmp_path, linear_bundle)
        processes = wait_for(process, tmp_path, kept)
        process.kill()
        process.communicate(timeout=20)
        assert all_gone(processes)
        assert not (tmp_path / "out.parquet").exists()
        kept = len(list((tmp_path / ".out.parquet.scoring").glob("*.answers")))
    told = finish(tmp_path, linear_bundle)
    assert (told["rows"], told["failed"]) == (ROWS, 0)
    assert told["resumed"] >= 2 * 8192
    check_rows(tmp_path)


@pytest.mark.slow
def test_a_killed_worker_is_told_and_the_same_command_goes_on(
    source: Path, tmp_path: Path, linear_bundle: Path
) -> None:
    process = start(tmp_path, linear_bundle)
    processes = wait_for(process, tmp_path, 0)
    scoring = [one for one in processes if "spawn_main" in " ".join(psutil.Process(one).cmdline())]
    os.kill(scoring[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.decode() == (
        "fankui: a worker process ended before its time (killed, or out of memory); what is scored is kept: run the "
        "same command again, with fewer --workers where memory is short\n"
    )
    assert all_gone(processes)
    assert finish(tmp_path, linear_bundle)["resumed"] >= 8192
    check_rows(tmp_path)


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_leaves_no_process_and_keeps_what_is_done(
    source: Path, tmp_path: Path, linear_bundle: Path
) -> None:
    process = start(tmp_path, linear_bundle)
    processes = wait_for(process, tmp_path, 0)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to all of them
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.decode() == "fankui: stopped; what is scored is kept, the same command goes on from there\n"
    assert all_gone(processes)
    assert finish(tmp_path, linear_bundle)["resumed"] >= 8192
    check_rows(tmp_path)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path, linear_bundle: Path) -> None:
    """All processes together, sampled: eight times the rows may cost a few megabytes of bookkeeping."""
    peaks = []
    for rows in (100_000, 800_000):
        texts = pa.array([f"{THINGS[i % 16]}{STATES[i % 8]}，第{i}回" for i in range(5000)])
        with pq.ParquetWriter(tmp_path / "in.parquet", pa.schema({"id": pa.int32(), "text": pa.string()})) as file:
            for first in range(0, rows, 50_000):
                ids = pa.array(range(first, first + 50_000), pa.int32())
                file.write_table(pa.table({"id": ids, "text": texts.take(pc.bit_wise_and(ids, 4095))}))
        process = start(tmp_path, linear_bundle)
        watched, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            peak = max(peak, _resident(watched))
            time.sleep(0.1)
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, b"")
        peaks.append(peak)
    assert peaks[1] < peaks[0] + (150 << 20), peaks
    assert peaks[1] < 1536 << 20


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total
