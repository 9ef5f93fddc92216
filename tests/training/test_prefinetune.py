"""The multi-task round on a network of a few thousand weights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

import fankui
from pipeline.errors import UsageError
from training.config import NetworkSettings
from training.leg import LegSettings
from training.objectives import Shape
from training.prefinetune import PrefinetuneSettings, prefinetune
from training.pretrain import PretrainSettings, pretrain
from training.progress import Silent

GOOD, BAD = "苹果很脆很甜，第{}次买了", "屏幕有坏点，第{}次来换"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Forty rows with a polarity, and a dev file that guards one of them."""
    texts = [(GOOD if i % 2 else BAD).format(i) for i in range(40)]
    path = tmp_path / "data" / "datasets" / "waimai_10k" / "all.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": texts, "label": [i % 2 for i in range(40)]}), path)
    (tmp_path / "data" / "triage").mkdir()
    dev = tmp_path / "data" / "triage" / "dev.jsonl"
    dev.write_text(json.dumps({"text": texts[0]}, ensure_ascii=False) + "\n", encoding="utf-8")
    return tmp_path / "data"


@pytest.fixture
def start(small_corpus: Path, public_data: Path, tmp_path: Path) -> Path:
    """An encoder out of two steps of masked words."""
    settings = PretrainSettings(
        output=tmp_path / "leg",
        corpus=small_corpus,
        data=public_data,
        shape=Shape(layers=1, hidden=64, positions=64),
        leg=LegSettings(steps=2),
        rows=2,
        length=32,
        track=False,
        device="cpu",
    )
    result = pretrain(settings, progress=Silent())
    assert result is not None
    return result.encoder


@pytest.fixture
def settings(data: Path, start: Path, tmp_path: Path) -> PrefinetuneSettings:
    own = tmp_path / "own.jsonl"
    rows = [{"text": f"快递第{i}天还没到", "sentiment": "negative", "urgency": "high"} for i in range(4)]
    rows.append({"text": BAD.format(0), "sentiment": "negative", "urgency": "low"})
    own.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    network = NetworkSettings(max_tokens=32, epochs=2, batch_size=8, learning_rate=1e-3, precision="fp32")
    return PrefinetuneSettings(tmp_path / "labels", start, data=data, train=(own,), network=network)


def test_the_encoder_learns_and_keeps_the_heads_of_its_pre_training(settings: PrefinetuneSettings) -> None:
    record = prefinetune(settings, progress=Silent())
    assert record is not None
    folder = settings.output / "encoder"
    before, after = load_file(settings.init / "model.safetensors"), load_file(folder / "model.safetensors")
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert {value.dtype for value in after.values()} == {torch.float16}
    legs = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))
    assert legs["heads"] == "mlm"
    assert [leg["objective"] for leg in legs["legs"]] == ["mlm", "labels"]
    assert record["labels"] == {"waimai_10k": {"rows": 40, "held_back": 1}}
    assert record["own"]["held_back"] == 1
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| waimai_10k | 40 | 1 |" in card
    assert not (settings.output / "checkpoints").exists()


def test_a_finished_round_is_not_overwritten(settings: PrefinetuneSettings) -> None:
    (settings.output / "encoder").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds a finished round; name another --output"):
        prefinetune(settings, progress=Silent())


def test_an_unfinished_round_is_not_overwritten(settings: PrefinetuneSettings) -> None:
    (settings.output / "checkpoints" / "step-00000200").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"holds an unfinished round \(step 200\); go on with --resume"):
        prefinetune(settings, progress=Silent())


def test_the_same_seed_gives_the_same_encoder(settings: PrefinetuneSettings, tmp_path: Path) -> None:
    files: list[Path] = []
    for name in ("one", "other"):
        prefinetune(replace(settings, output=tmp_path / name), progress=Silent())
        files.append(tmp_path / name / "encoder" / "model.safetensors")
    assert files[0].read_bytes() == files[1].read_bytes()


def test_on_the_command_line(
    settings: PrefinetuneSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: Callable[[list[str]], int] = fankui.run
    monkeypatch.setenv("FANKUI_DATA", str(settings.data))
    arguments = ["pretrain", "--objective", "labels", "--output", str(settings.output)]
    assert run(arguments) == 2
    assert "--objective labels goes on from an encoder; name it with --init" in capsys.readouterr().err
    assert run([*arguments, "--init", str(settings.init), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["leg"]["objective"] == "labels"
