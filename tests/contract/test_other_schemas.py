"""Other people's labels with nothing but a schema file: sentiment alone (chnsenticorp), 118 intents (dataclue_cic)."""

import json
from pathlib import Path

import pytest

import fankui
from pipeline.resources import shipped

pq = pytest.importorskip("pyarrow.parquet")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FANKUI_HOME", str(tmp_path / "home"))


def trained(folder: Path, test: str, *options: str, task: str, schema: str) -> dict[str, float]:
    command = [
        "train",
        "--schema",
        str(shipped("data", "schemas", schema)),
        "--label-column",
        f"{task}=label",
        "--no-track",
        "--output",
        "run",
    ]
    command += ["--train", str(folder / "train.parquet"), "--dev", str(folder / "dev.parquet")]
    assert fankui.run([*command, "--test", str(folder / f"{test}.parquet"), *options]) == 0
    found: dict[str, float] = json.loads(Path("run/bundle/metrics.json").read_text(encoding="utf-8"))
    return found


def test_sentiment_alone(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared_data / "datasets" / "chnsenticorp"
    options = ("--model", "linear", "--set", "folds=0", "--set", "max_features=20000")
    metrics = trained(folder, "test", *options, task="sentiment", schema="chnsenticorp.toml")
    assert metrics["test/sentiment/accuracy"] > 0.87
    assert fankui.run(["score", "--model", "run/bundle", "--json", "房间有霉味，床单也没换"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])["results"][0]
    assert answer["labels"]["sentiment"]["label"] == "0"
    assert set(answer["labels"]) == {"sentiment"}


def test_118_intents(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared_data / "datasets" / "dataclue_cic"
    options = ("--model", "linear", "--set", "folds=0", "--set", "max_features=10000")
    metrics = trained(folder, "test_public", *options, task="intent", schema="dataclue_cic.toml")
    assert metrics["test/intent/macro_f1"] > 0.5
    assert fankui.run(["score", "--model", "run/bundle", "--json", "什么时候发货呀"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])["results"][0]
    assert len(answer["labels"]["intent"]["alternatives"]) == 3
    assert answer["aspects"] == []


def test_a_network_for_sentiment_alone(shared_data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    whole = shared_data / "datasets" / "chnsenticorp"
    part = tmp_path / "part"
    part.mkdir()
    for name, rows in (("train", 200), ("dev", 60), ("test", 60)):
        pq.write_table(pq.read_table(whole / f"{name}.parquet").slice(0, rows), part / f"{name}.parquet")
    options = ("--model", "network", "--profile", "quick", "--set", "epochs=1")
    metrics = trained(part, "test", *options, task="sentiment", schema="chnsenticorp.toml")
    assert metrics["test/sentiment/rows"] == 60
    assert fankui.run(["score", "--model", "run/bundle", "--json", "房间有霉味，床单也没换"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])["results"][0]
    assert answer["labels"]["sentiment"]["label"] in ("0", "1")
