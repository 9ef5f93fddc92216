"""A leg on two processes that is killed in the middle goes on and ends like one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
SIZE = ("--layers", "1", "--hidden", "64", "--rows", "4", "--steps", "300", "--device", "cpu", "--no-track")
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "fankui", "pretrain")

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One public set of our own sentences, enough for a few rows of 128 tokens."""
    things = "桌椅床柜灯锅碗盆"
    texts = [
        f"第{i}次买这家的{things[i % 8]}，{'送得快' if i % 3 else '又晚了'}，{'好用' if i % 2 else '坏了'}"
        for i in range(400)
    ]
    path = tmp_path / "public" / "datasets" / "waimai_10k" / "all.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": texts}), path)
    return tmp_path / "public"


def start(arguments: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, *LAUNCH, *SIZE, *arguments], cwd=log.parent, env=environment, stderr=errors
        )


def finish(process: "subprocess.Popen[bytes]", log: Path) -> None:
    try:
        assert process.wait(timeout=200) == 0, log.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()


def test_two_processes_go_on_after_a_kill(data: Path, tmp_path: Path) -> None:
    corpus = ["--data", str(data), "--corpus", str(tmp_path / "corpus"), "--checkpoint-seconds", "0.5"]
    finish(start([*corpus, "--output", "whole"], tmp_path / "whole.err"), tmp_path / "whole.err")
    process = start([*corpus, "--output", "killed"], tmp_path / "killed.err")
    ended = time.monotonic() + 120
    while not list((tmp_path / "killed" / "checkpoints").glob("step-*")):
        assert time.monotonic() < ended
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) != 0
    assert not (tmp_path / "killed" / "encoder").exists()
    resumed = start([*corpus, "--output", "killed", "--resume"], tmp_path / "resumed.err")
    finish(resumed, tmp_path / "resumed.err")
    record = json.loads((tmp_path / "killed" / "encoder" / "pretraining.json").read_text(encoding="utf-8"))
    assert record["legs"][-1]["steps"] == 300
    first, second = (load_file(tmp_path / name / "encoder" / "model.safetensors") for name in ("whole", "killed"))
    assert all(first[name].equal(second[name]) for name in first)
