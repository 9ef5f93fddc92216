"""A killed training goes on from its checkpoint and ends like one that was not; two processes train together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.feedback import Example

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "--model",
    "network",
    "--profile",
    "quick",
    "--no-track",
    "--json",
    "--set",
    "hidden=64",
    "--set",
    "encoder=none",
    "--set",
    "layers=1",
    "--set",
    "epochs=4",
)
STEPS = ("--set", "batch_size=2", "--set", "checkpoint_steps=1", "--set", "max_tokens=32")


@pytest.fixture
def arguments(tmp_path: Path, examples: list[Example]) -> list[str]:
    for name, part in (("train", examples[:18]), ("dev", examples[18:])):
        lines = [json.dumps({"text": one.text, **one.labels}, ensure_ascii=False) for one in part]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = ["--train", str(tmp_path / "train.jsonl"), "--dev", str(tmp_path / "dev.jsonl")]
    return ["-m", "fankui", "train", *files, *SETTINGS, *STEPS]


def start(words: Sequence[str], log: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with log.open("w", encoding="utf-8") as errors:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=log.parent,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def finish(words: Sequence[str], log: Path) -> dict[str, object]:
    process = start(words, log)
    try:
        out, _ = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its workers
        process.communicate()
        pytest.fail(f"still running after two minutes: {log.read_text(encoding='utf-8')}")
    assert process.returncode == 0, log.read_text(encoding="utf-8")
    return dict(json.loads(out))


def wait_for_step(folder: Path, step: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any(int(path.name.removeprefix("step-")) >= step for path in folder.glob("step-*")):
            return
        time.sleep(0.005)
    pytest.fail(f"no checkpoint of step {step} in {folder}")


@pytest.mark.slow
def test_a_training_killed_twice_goes_on_and_ends_the_same(arguments: list[str], tmp_path: Path) -> None:
    whole = finish([*arguments, "--output", "whole"], tmp_path / "whole.err")
    killed = [*arguments, "--output", "killed"]
    checkpoints = tmp_path / "killed" / "checkpoints"
    process = start(killed, tmp_path / "killed.err")
    wait_for_step(checkpoints, 5, process)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    process = start([*killed, "--resume"], tmp_path / "stopped.err")
    wait_for_step(checkpoints, 15, process)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not (tmp_path / "killed" / "bundle").exists()
    told = " ".join((tmp_path / "stopped.err").read_text(encoding="utf-8").split())
    assert "goes on from step" in told
    assert "go on with the same command and: --resume --output killed" in told
    resumed = finish([*killed, "--resume"], tmp_path / "resumed.err")
    assert "goes on from step" in (tmp_path / "resumed.err").read_text(encoding="utf-8")
    assert resumed["metrics"] == whole["metrics"]
    assert resumed["model_version"] == whole["model_version"]


@pytest.mark.slow
def test_two_processes_train_one_model(arguments: list[str], tmp_path: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    found = finish([*launch, "--output", "both"], tmp_path / "both.err")
    assert "on 2 x cpu" in (tmp_path / "both.err").read_text(encoding="utf-8")
    metrics = found["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["train/steps"] == 32  # 8 batches of 2 an epoch, a row of each for each process, in 4 epochs
    assert (tmp_path / "both" / "bundle" / "manifest.json").is_file()
