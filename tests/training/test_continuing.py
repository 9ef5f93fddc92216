"""A training that goes on from a trained model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from models.network import FeedbackClassifier
from pipeline.errors import BundleError, ConfigError
from pipeline.schema import LabelSchema, load_schema
from tests.training.labeled_rows import write_rows
from training.continuing import continue_from
from training.train import TrainResult

RunTraining = Callable[..., TrainResult]


def changed(first: FeedbackClassifier, stored: dict[str, torch.Tensor]) -> Iterator[str]:
    for name, value in first.state_dict().items():
        if name in stored and not value.equal(stored[name].float()):
            yield name


def test_takes_encoder_tokenizer_and_all_heads(trained_network: TrainResult, schema: LabelSchema) -> None:
    found = continue_from(str(trained_network.bundle.path), schema, max_tokens=16, dropout=0.3)
    classifier, tokenizer = found.classifier, found.tokenizer
    assert str(found.parent) == f"{trained_network.bundle.version} (digest {trained_network.bundle.digest})"
    stored = load(trained_network.bundle.read("model.safetensors"))
    assert list(changed(classifier, stored)) == []
    assert {value.dtype for value in classifier.parameters()} == {torch.float32}
    assert classifier.config.dropout == 0.3
    assert tokenizer.max_tokens == 16
    assert tokenizer.to_json().encode() == trained_network.bundle.read("tokenizer.json")


def test_heads_of_other_labels_are_new(trained_network: TrainResult, tmp_path: Path) -> None:
    file = tmp_path / "labels.toml"
    file.write_text(
        '[tasks.sentiment]\nkind = "single"\nlabels = ["negative", "neutral", "positive"]\n'
        '[tasks.category]\nkind = "single"\nlabels = ["parcel", "money"]\n',
        encoding="utf-8",
    )
    on = continue_from(str(trained_network.bundle.path), load_schema(file), max_tokens=32, dropout=0.1)
    classifier = on.classifier
    stored = load(trained_network.bundle.read("model.safetensors"))
    same = {name for name in classifier.state_dict() if name in stored} - set(changed(classifier, stored))
    assert {name for name in same if name.startswith("encoder.")} == {n for n in stored if n.startswith("encoder.")}
    sentiment, category = (set(head.state_dict()) for head in classifier.heads)
    assert {f"heads.0.{name}" for name in sentiment} <= same
    assert not {f"heads.1.{name}" for name in category} & same


def test_a_training_starts_from_it(trained_network: TrainResult, run_training: RunTraining, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": f"第{i}次了，还是没人管", "sentiment": "negative"} for i in range(4)]
    further = run_training(
        "network",
        f"network.start={trained_network.bundle.path}",
        "epochs=1",
        "learning_rate=1e-9",
        train=(write_rows(tmp_path / "own.jsonl", rows),),
        output=tmp_path / "second",
    )
    first, second = (load(one.bundle.read("model.safetensors")) for one in (trained_network, further))
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)
    parent, card = trained_network.bundle, further.bundle.read("card.md").decode()
    assert f"- goes on from: {parent.version} (digest {parent.digest}), and knows what that model has learnt" in card
    assert "- starts from" not in card
    assert f"- of the train rows: 4 = 4 trained on, after what {parent.version} was trained on + " in card
    assert further.bundle.json("config.json")["training"]["network"]["start"] == parent.version
    assert str(parent.path) not in (further.folder / "run.json").read_text(encoding="utf-8")


def test_a_model_that_is_nowhere_is_told_before_the_rows_are_read(run_training: RunTraining, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"^no model folder at nowhere/model;"):
        run_training("network", "network.start=nowhere/model", train=(tmp_path / "absent.jsonl",))


def test_a_linear_model_gives_nothing_to_start_from(
    run_training: RunTraining, schema: LabelSchema, tmp_path: Path
) -> None:
    linear = run_training("linear", output=tmp_path / "linear").bundle
    with pytest.raises(ConfigError, match=r"expected a model with a network; fankui@\w+ is a linear one$") as caught:
        continue_from(str(linear.path), schema, max_tokens=32, dropout=0.1)
    assert caught.value.code == "start_unusable"
