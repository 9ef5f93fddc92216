"""The loop and its checkpoints on a network of a few thousand weights."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from transformers import BertConfig

from models.network import new_classifier
from models.tokenization import build_tokenizer
from pipeline.errors import ConfigError
from pipeline.feedback import Example
from pipeline.schema import LabelSchema
from training import checkpoint
from training.config import NetworkSettings
from training.dataset import tokenize_rows
from training.loop import Trainer, wants_bf16
from training.progress import Advance, Silent

SETTINGS = NetworkSettings(epochs=3, batch_size=8, learning_rate=3e-3, checkpoint_steps=2, max_tokens=32, patience=3)


class InterruptAt(Silent):
    """Presses Ctrl-C when the given step is done."""

    def __init__(self, step: int) -> None:
        self.step = step

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Advance]:
        def advance(done: int, note: str = "") -> None:
            if done == self.step and "loss" in note:
                os.kill(os.getpid(), signal.SIGINT)

        yield advance


MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(schema: LabelSchema, examples: list[Example], tmp_path: Path) -> MakeTrainer:
    texts = [example.text for example in examples]
    tokenizer = build_tokenizer(texts, max_tokens=32, min_count=1)
    rows = tokenize_rows(texts, examples, schema=schema, tokenizer=tokenizer)

    def make(folder: str = "run", *, step: int = 0, key: str = "k", settings: NetworkSettings = SETTINGS) -> Trainer:
        torch.manual_seed(11)
        config = BertConfig(
            vocab_size=tokenizer.backend.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
        )
        return Trainer(
            accelerator=Accelerator(cpu=True),
            classifier=new_classifier(config, schema),
            tokenizer=tokenizer,
            schema=schema,
            settings=settings,
            train=rows,
            dev=rows,
            folder=tmp_path / folder,
            key=key,
            seed=5,
            progress=InterruptAt(step),
        )

    return make


def test_it_learns(make_trainer: MakeTrainer) -> None:
    result = make_trainer(settings=replace(SETTINGS, epochs=25, patience=25)).fit(resume=False)
    losses = [entry["loss"] for entry in result.history]
    assert losses[-1] < 0.6 * losses[0]
    assert result.best_score == max(entry["score"] for entry in result.history)
    assert {"sentiment/macro_f1", "category/macro_f1", "aspects/f1", "urgency/qwk"} <= set(result.history[0])


@pytest.mark.parametrize("step", [1, 4, 6])
def test_an_interrupted_training_ends_as_if_it_had_not_been(make_trainer: MakeTrainer, step: int) -> None:
    whole = make_trainer("whole")
    expected = whole.fit(resume=False)
    broken = make_trainer("broken", step=step)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(resume=False)
    resumed = make_trainer("broken")
    found = resumed.fit(resume=True)
    assert found.steps == expected.steps == 9
    assert found.history == expected.history
    assert found.best_epoch == expected.best_epoch
    for name, values in whole.classifier.state_dict().items():
        assert torch.equal(resumed.classifier.state_dict()[name], values), name


def test_every_regularizer_at_once_survives_an_interruption(make_trainer: MakeTrainer) -> None:
    settings = replace(SETTINGS, averaging=0.9, adversarial=0.5, consistency=1.0, layer_decay=0.8)
    whole = make_trainer("whole", settings=settings)
    expected = whole.fit(resume=False)
    with pytest.raises(KeyboardInterrupt):
        make_trainer("broken", step=4, settings=settings).fit(resume=False)
    resumed = make_trainer("broken", settings=settings)
    assert resumed.fit(resume=True).history == expected.history
    for name, values in whole.classifier.state_dict().items():
        assert torch.equal(resumed.classifier.state_dict()[name], values), name


def test_ctrl_c_means_the_usual_again_afterwards(make_trainer: MakeTrainer) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        make_trainer(step=1).fit(resume=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_another_training_is_not_gone_on_with(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_trainer(step=3).fit(resume=False)
    with pytest.raises(ConfigError) as caught:
        make_trainer(key="other").fit(resume=True)
    assert caught.value.message == (
        f"{tmp_path / 'run'} is of a training with other rows or settings; give the same ones, or name another "
        "--output without --resume"
    )


def test_without_resume_it_starts_afresh(make_trainer: MakeTrainer) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_trainer(step=3, key="old").fit(resume=False)
    trainer = make_trainer(key="new", settings=replace(SETTINGS, epochs=1))
    assert trainer.fit(resume=False).steps == 3
    state = json.loads((trainer.folder / "step-00000003" / "state.json").read_text(encoding="utf-8"))
    assert state["key"] == "new"


def test_it_stops_when_nothing_gets_better(make_trainer: MakeTrainer) -> None:
    still = replace(SETTINGS, epochs=50, patience=2, learning_rate=0.0)
    result = make_trainer(settings=still).fit(resume=False)
    assert (result.epochs, result.best_epoch) == (3, 0)


def test_only_the_last_checkpoint_stays_and_holds_no_pickle(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    trainer.fit(resume=False)
    found = sorted(path.relative_to(trainer.folder).as_posix() for path in trainer.folder.rglob("*") if path.is_file())
    assert found == [
        "best.safetensors",
        "step-00000009/model.safetensors",
        "step-00000009/optimizer.safetensors",
        "step-00000009/random.safetensors",
        "step-00000009/state.json",
    ]


def test_a_half_written_checkpoint_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / ".step-00000008.x.part").mkdir()
    (tmp_path / "step-00000004").mkdir()
    assert checkpoint.latest(tmp_path) == tmp_path / "step-00000004"
    assert checkpoint.latest(tmp_path / "none") is None


@pytest.mark.parametrize("hardware", [True, False])
def test_bf16_is_for_hardware_that_has_it_unless_asked_for(hardware: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: hardware)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    cpu = torch.device("cpu")
    assert wants_bf16("auto", cpu) is hardware
    assert wants_bf16("bf16", cpu)
    assert not wants_bf16("fp32", cpu)
    assert not wants_bf16("fp32", torch.device("cuda"))


def test_it_trains_in_bf16_and_keeps_float32_weights(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(settings=replace(SETTINGS, epochs=1, precision="bf16"))
    assert trainer.fit(resume=False).steps == 3
    assert {parameter.dtype for parameter in trainer.classifier.parameters()} == {torch.float32}
