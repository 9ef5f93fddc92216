"""`fankui calibrate`: the same weights with probabilities fitted to other rows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fankui
from models.bundle import open_bundle
from pipeline.feedback import Example
from pipeline.routing import NEVER
from tests.training.labeled_rows import write_rows
from training.train import TrainResult


@pytest.fixture
def own(tmp_path: Path, examples: list[Example]) -> Path:
    """120 labelled comments, more than a temperature needs."""
    numbered = [(i, examples[i % len(examples)]) for i in range(120)]
    rows: list[dict[str, object]] = [
        {"text": f"第{i}单，{one.text}，编号{i * 7919}", **one.labels} for i, one in numbered
    ]
    return write_rows(tmp_path / "own.jsonl", rows)


@pytest.fixture
def test_file(labeled_files: dict[str, Path]) -> str:
    return str(labeled_files["test"])


@pytest.mark.parametrize("kind", ["linear", "joint"])
def test_weights_stay_and_the_rest_is_fitted(
    kind: str,
    run_training: Callable[..., TrainResult],
    own: Path,
    test_file: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = run_training(kind).bundle
    target = own.parent / "fitted"
    capsys.readouterr()
    command = ["calibrate", str(old.path), str(own), "--test", test_file, "-o", str(target)]
    assert fankui.run([*command, "--split", "dev", "--json"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    new = open_bundle(target)
    assert document["before"]["dev/sentiment/ece"] == pytest.approx(old.json("metrics.json")["test/sentiment/ece"])
    assert document["before"]["dev/sentiment/ece"] != document["metrics"]["dev/sentiment/ece"]
    few = "with fewer than 200 rows the probabilities and thresholds are unsure"
    assert f"calibrated on 120 rows; {few}" in told.err
    assert "never auto" not in told.err
    assert document["model_version"] == new.version
    assert new.kind == kind
    assert new.read("weights.safetensors") == old.read("weights.safetensors")
    assert new.calibration.task("sentiment").temperature != 1
    before, after = (one.json("config.json").get("mix") for one in (old, new))
    assert (before == after) is (kind == "linear")
    card = new.read("card.md").decode()
    assert "- rows calibrated on: 120 of own.jsonl (sha256 " in card
    assert f"); {few}\n" in card
    assert "- seed: 7\n" in card
    assert "## Results on `dev`" in card
    figures = new.json("metrics.json")
    assert figures["dev/sentiment/rows"] == 4
    assert not [name for name in figures if name.startswith("test/")]


def test_few_rows_are_told_and_decide_nothing_unseen(
    run_training: Callable[..., TrainResult], own: Path, test_file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    old = run_training("linear").bundle
    few = own.with_name("few.jsonl")
    few.write_text("".join(own.read_text(encoding="utf-8").splitlines(keepends=True)[:26]), encoding="utf-8")
    capfd.readouterr()
    assert fankui.run(["calibrate", str(old.path), str(few), "--test", test_file, "-o", str(own.parent / "x")]) == 0
    out, err = capfd.readouterr()
    assert "never auto: sentiment, category, aspects, urgency; fewer than 50 labelled rows to calibrate on" in err
    assert "calibrated on 26 rows; with fewer than 200 rows" in err
    assert "auto before" in out
    new = open_bundle(own.parent / "x")
    assert {new.calibration.task(task.name).auto for task in new.schema.tasks} == {NEVER}
    assert "- `urgency`: calibrated on fewer than 50 rows" in new.read("card.md").decode()


def test_rows_that_the_test_file_holds_are_left_out(
    run_training: Callable[..., TrainResult],
    test_file: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    old = run_training("linear").bundle
    assert fankui.run(["calibrate", str(old.path), test_file, "--test", test_file, "-o", str(tmp_path / "x")]) == 1
    assert "all 4 training rows are in the dev or test file too" in capfd.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_model_that_is_there_is_not_overwritten(
    run_training: Callable[..., TrainResult],
    test_file: str,
    own: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    old = run_training("linear").bundle
    command = ["calibrate", str(old.path), str(own), "--test", test_file, "-o", str(old.path)]
    assert fankui.run(command) == 1
    assert "exists already; a bundle is never changed" in capfd.readouterr().err
    assert open_bundle(old.path).digest == old.digest
