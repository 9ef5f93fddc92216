"""A leg from end to end: kill and resume, the encoder that comes out, the next leg that starts from it."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

import fankui
from models.network import load_encoder
from models.tokenization import load_tokenizer
from pipeline.errors import ConfigError, DataError, UsageError
from training import checkpoint
from training.checkpoint import Standing
from training.corpus import read_manifest
from training.corpus_source import file_digest
from training.leg import LegSettings
from training.objectives import Shape
from training.pretrain import PretrainResult, PretrainSettings, pretrain
from training.progress import Advance, Silent

LEG = LegSettings(steps=24, learning_rate=3e-3, checkpoint_seconds=0.05)


class Heard(Silent):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)


class InterruptAt(Silent):
    """Presses Ctrl-C when the given thousandth of the leg is done."""

    def __init__(self, done: int) -> None:
        self.done = done

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Advance]:
        def advance(done: int, note: str = "") -> None:
            if title == "pre-training" and done == self.done:
                os.kill(os.getpid(), signal.SIGINT)

        yield advance


@pytest.fixture
def settings(small_corpus: Path, public_data: Path, tmp_path: Path) -> PretrainSettings:
    return PretrainSettings(
        output=tmp_path / "leg",
        corpus=small_corpus,
        data=public_data,
        objective="rtd",
        shape=Shape(layers=1, hidden=64, positions=64),
        leg=LEG,
        rows=4,
        length=32,
        track=False,
        device="cpu",
    )


def finished(settings: PretrainSettings) -> PretrainResult:
    result = pretrain(settings, progress=Silent())
    assert result is not None
    return result


@pytest.fixture
def leg(settings: PretrainSettings) -> PretrainResult:
    return finished(settings)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_transformers_loads_the_encoder(leg: PretrainResult) -> None:
    model = AutoModel.from_pretrained(leg.encoder, dtype=torch.float32, add_pooling_layer=False)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert model.config.hidden_dropout_prob == 0.1
    assert {value.dtype for value in weights(leg.encoder).values()} == {torch.float16}
    stored = weights(leg.encoder)["embeddings.word_embeddings.weight"]
    assert model.embeddings.word_embeddings.weight.detach().half().equal(stored)


def test_transformers_cuts_text_as_we_do(leg: PretrainResult) -> None:
    text = "骑手迷路了，打[手机号]找他"
    theirs = AutoTokenizer.from_pretrained(leg.encoder)
    ours = load_tokenizer(str(leg.encoder), max_tokens=64)
    assert theirs(text)["input_ids"] == ours.encode([text])[0]
    assert theirs.mask_token_id == 4


def test_card_tells_data_compute_and_limits(leg: PretrainResult) -> None:
    card = (leg.encoder / "README.md").read_text(encoding="utf-8")
    assert "| 1 | rtd | 24 | 3,072 |" in card
    assert "| waimai_10k | feedback | 5 | 1, 0, 0 | 1 | 2 |" in card
    assert "## Limits" in card
    assert "骑手" not in card


def test_killed_leg_ends_as_if_nothing_had_happened(leg: PretrainResult, settings: PretrainSettings) -> None:
    again = replace(settings, output=settings.output.with_name("killed"))
    with pytest.raises(KeyboardInterrupt):
        pretrain(again, progress=InterruptAt(500))
    assert not (again.output / "encoder").exists()
    assert [path.name for path in (again.output / "checkpoints").iterdir()] == [
        "step-00000013"
    ]  # the step after the signal
    # How often a checkpoint is written changes no step.
    rare = replace(again.leg, checkpoint_seconds=60.0)
    resumed = finished(replace(again, resume=True, leg=rare))
    first, second = weights(leg.encoder), weights(resumed.encoder)
    assert all(first[name].equal(second[name]) for name in first)
    assert resumed.leg["steps"] == 24
    assert [path.name for path in again.output.iterdir()] == ["encoder"]


def test_next_leg_starts_from_the_encoder(leg: PretrainResult, settings: PretrainSettings) -> None:
    short = replace(settings, leg=replace(LEG, steps=1, learning_rate=1e-9))
    after = finished(replace(short, output=settings.output.with_name("two"), init=leg.encoder))
    first, second = weights(leg.encoder), weights(after.encoder)
    assert all(first[name].equal(second[name]) for name in first)
    heads = [load_file(folder / "heads.safetensors") for folder in (leg.encoder, after.encoder)]
    assert all(heads[0][name].equal(heads[1][name]) for name in heads[0])
    card = (after.encoder / "README.md").read_text(encoding="utf-8")
    assert "| 2 | rtd | 1 |" in card


def test_other_objective_brings_its_own_heads(settings: PretrainSettings) -> None:
    """Though some are named alike, and are of other shapes where the encoder is wider than the generator."""
    wide = replace(settings, output=settings.output.with_name("wide"), shape=Shape(layers=1, hidden=128, positions=64))
    first = finished(wide).encoder
    other = replace(settings, output=settings.output.with_name("mlm"), init=first, objective="mlm")
    assert finished(other).leg["losses"]["rtd"] == 0


def test_minutes_end_a_leg(settings: PretrainSettings) -> None:
    result = finished(replace(settings, leg=replace(LEG, steps=None, minutes=0.02)))
    assert result.leg["seconds"] == pytest.approx(1.2, abs=1.0)
    assert result.leg["steps"] > 1


def test_changed_settings_are_not_gone_on_with(settings: PretrainSettings) -> None:
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings, progress=InterruptAt(500))
    with pytest.raises(ConfigError) as caught:
        finished(replace(settings, resume=True, mask=0.3))
    assert caught.value.code == "resume_mismatch"


def test_an_unfinished_leg_is_not_overwritten(settings: PretrainSettings) -> None:
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings, progress=InterruptAt(500))
    with pytest.raises(UsageError) as caught:
        finished(settings)
    assert caught.value.code == "leg_unfinished"
    assert "holds an unfinished leg (step 13); go on with --resume, or name another --output" in caught.value.message
    assert [path.name for path in (settings.output / "checkpoints").iterdir()] == ["step-00000013"]


def test_a_resumption_of_nothing_and_a_corpus_used_again_are_told(
    settings: PretrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FANKUI_DATA", raising=False)
    heard = Heard()
    alone = replace(settings, data=None, resume=True, leg=replace(LEG, steps=1))  # a machine without the data
    assert pretrain(alone, progress=heard) is not None
    assert f"no checkpoint in {settings.output / 'checkpoints'}: it begins anew" in heard.messages
    tokens = read_manifest(settings.corpus)["tokens"]
    assert heard.messages[0] == (
        f"uses the corpus {settings.corpus} again: {tokens:,} tokens of 4 sets "
        "(chnsenticorp, waimai_10k, atec_pairs, …)"
    )


@pytest.mark.parametrize("named", [True, False])
def test_a_corpus_of_other_data_is_not_used(
    named: bool, settings: PretrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(settings.data or "", other)
    shutil.rmtree(other / "datasets" / "waimai_10k")
    monkeypatch.setenv("FANKUI_DATA", str(other))
    with pytest.raises(DataError) as caught:
        finished(replace(settings, data=other if named else None))
    assert caught.value.code == "corpus_differs"


def test_checkpoints_come_by_the_clock(settings: PretrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []

    def save(folder: Path, standing: Standing, **_: object) -> Path:
        saved.append(standing.step)
        return folder

    monkeypatch.setattr(checkpoint, "save", save)
    seldom = replace(settings, leg=replace(LEG, steps=3, checkpoint_seconds=1000.0))
    finished(seldom)
    assert saved == []
    often = replace(seldom.leg, checkpoint_seconds=0.0)
    finished(replace(seldom, leg=often, output=settings.output.with_name("often")))
    assert saved == [1, 2, 3]


def test_the_card_of_ones_own_texts_and_encoder(settings: PretrainSettings, tmp_path: Path) -> None:
    path = tmp_path / "own" / "datasets" / "tea" / "train.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": [f"第{i}杯茶凉了，杯子也没洗" for i in range(40)]}), path)
    table = tmp_path / "sets.toml"
    table.write_text('[tea]\nkind = "feedback"\ntext = ["train"]\nabout = "orders of 2025"\n', encoding="utf-8")
    short = replace(LEG, steps=2)
    own = replace(settings, data=tmp_path / "own", corpus=tmp_path / "tea", sets=table, leg=short)
    first = finished(own).encoder
    card = (first / "README.md").read_text(encoding="utf-8")
    assert "Pre-trained from nothing on customer feedback in Chinese (`tea`)" in card
    assert "- `tea`: orders of 2025.\n" in card
    (first / "heads.safetensors").unlink()  # now it looks like one from elsewhere
    further = finished(replace(own, output=tmp_path / "further", init=first)).encoder
    digest = file_digest(first / "model.safetensors")[:12]
    told = (further / "README.md").read_text(encoding="utf-8")
    assert f"Pre-trained further, from the encoder encoder (sha256 {digest}), on customer feedback" in told


def test_refusals(leg: PretrainResult, settings: PretrainSettings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a finished leg; name another --output"):
        finished(settings)
    fresh = replace(settings, output=tmp_path / "fresh")
    with pytest.raises(ConfigError, match="a leg ends after --minutes or after --steps; give one of the two"):
        finished(replace(fresh, leg=LegSettings()))
    with pytest.raises(ConfigError, match="--hidden is a multiple of 64; found 100"):
        finished(replace(fresh, shape=Shape(hidden=100)))
    with pytest.raises(ConfigError, match="expected a folder with an encoder; found none"):
        finished(replace(fresh, init=tmp_path))


@pytest.mark.slow
def test_encoder_fine_tunes(leg: PretrainResult, tmp_path: Path) -> None:
    samples = Path(__file__).parents[2] / "data" / "samples"
    encoder = load_encoder(str(leg.encoder))
    assert encoder.config.vocab_size == load_tokenizer(str(leg.encoder), max_tokens=64).backend.get_vocab_size()
    if samples.is_dir():
        files = ["--train", str(samples / "train.jsonl"), "--dev", str(samples / "dev.jsonl")]
        options = [
            "--model",
            "network",
            "--encoder",
            str(leg.encoder),
            "--set",
            "epochs=1",
            "--no-track",
            "--output",
            str(tmp_path / "run"),
        ]
        assert fankui.run(["train", *files, *options]) == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_command_builds_the_corpus_and_trains(
    public_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANKUI_DATA", str(public_data))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    where = ["--corpus", str(tmp_path / "corpus"), "--output", str(tmp_path / "leg")]
    size = ["--layers", "1", "--hidden", "64", "--rows", "4", "--steps", "2", "--device", "cpu", "--json"]
    assert fankui.run(["pretrain", *where, *size]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["leg"]["steps"] == 2
    assert document["run_id"]
    assert (tmp_path / "leg" / "encoder" / "config.json").is_file()


def test_unknown_objective(capsys: pytest.CaptureFixture[str]) -> None:
    assert fankui.run(["pretrain", "--output", "x", "--objective", "clm"]) == 2
    assert "--objective is one of mlm, rtd, labels; found 'clm'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--steps", "-3"], "--steps is between 1 and 1,000,000,000; found -3"),
        (["--minutes", "0"], "--minutes is between 0.001 and 1,000,000; found 0.0"),
        (["--steps", "3", "--mask", "1.5"], "--mask is between 0.01 and 0.9; found 1.5"),
        (["--steps", "3", "--rows", "0"], "--rows is between 1 and 65,536; found 0"),
        (["--steps", "3", "--learning-rate", "-1"], "--learning-rate is between 1e-10 and 1; found -1.0"),
        (["--steps", "3", "--layers", "0"], "--layers is between 1 and 48; found 0"),
        (["--steps", "3", "--feedback", "7"], "--feedback is between 0 and 1; found 7.0"),
        (["--steps", "3", "--device", "tpu9"], "; found 'tpu9'"),
        (["--steps", "3", "--train", "mine.jsonl"], "--train"),
        (["--objective", "labels", "--init", "x", "--minutes", "5", "--mask", "0.2"], "--minutes, --mask"),
        (["--objective", "labels", "--init", "x", "--rows", "0"], "--rows is between 1 and 65,536; found 0"),
    ],
)
def test_options_that_cannot_be_are_told_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    command = ["pretrain", "--output", str(tmp_path / "leg"), "--corpus", str(tmp_path / "corpus"), *options]
    if "labels" in options:
        del command[3:5]
    assert fankui.run(command) in {1, 2}
    assert told in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


def test_an_output_that_is_no_folder_is_told_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    command = ["pretrain", "--steps", "3", "--output", str(tmp_path / "file"), "--corpus", str(tmp_path / "corpus")]
    assert fankui.run(command) == 2
    assert "cannot be made a folder (File exists); name another --output" in capsys.readouterr().err


def test_a_leg_of_few_steps_has_its_losses(settings: PretrainSettings) -> None:
    short = replace(settings, output=settings.output / "short", leg=replace(settings.leg, steps=3))
    result = pretrain(short, progress=Silent())
    assert result is not None
    assert set(result.leg["losses"]) >= {"mlm"}
