"""models/encoder: small, half precision on disk, single precision in use; it learns, and its card says what it cost."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from models.network import FeedbackClassifier, load_encoder, longest_input, new_classifier
from models.tokenization import load_tokenizer
from pipeline.columns import read_examples
from pipeline.prepare import prepare
from pipeline.privacy import PLACEHOLDERS
from pipeline.resources import shipped
from pipeline.schema import LabelSchema
from training.columns import gold_columns

FOLDER = shipped("models", "encoder")


@pytest.fixture
def classifier(schema: LabelSchema) -> FeedbackClassifier:
    torch.manual_seed(3)
    return new_classifier(load_encoder(str(FOLDER)), schema)


def test_it_is_small_and_in_half_precision() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 30_000_000
    assert {value.dtype for value in load_file(FOLDER / "model.safetensors").values()} == {torch.float16}


def test_it_is_as_fast_as_four_narrow_layers() -> None:
    config = load_encoder(str(FOLDER)).config
    assert config.num_hidden_layers <= 4
    assert config.hidden_size <= 312


def test_every_placeholder_is_one_token() -> None:
    tokenizer = load_tokenizer(str(FOLDER), max_tokens=longest_input(load_encoder(str(FOLDER)).config))
    assert len(PLACEHOLDERS) >= 5
    for placeholder in PLACEHOLDERS:
        assert tokenizer.counts([placeholder]) == [1]
        assert tokenizer.known_fraction(placeholder) == 1.0


def test_it_is_loaded_in_single_precision_and_its_loss_falls(
    classifier: FeedbackClassifier, schema: LabelSchema
) -> None:
    assert {parameter.dtype for parameter in classifier.parameters()} == {torch.float32}
    tokenizer = load_tokenizer(str(FOLDER), max_tokens=64)
    examples = read_examples(shipped("data", "samples", "train.jsonl"), schema)[:64]
    encoded = tokenizer.encode([prepare(example.text).text for example in examples])
    longest = max(map(len, encoded))
    ids = torch.tensor([row + [tokenizer.pad_id] * (longest - len(row)) for row in encoded])
    gold = torch.tensor(gold_columns(examples, schema)["sentiment"])
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=4e-4)
    losses = []
    for _ in range(12):
        logits = classifier(ids, (ids != tokenizer.pad_id).long())["sentiment"]
        loss = cross_entropy(logits, gold)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.7
    assert losses[-1] < 0.25 * losses[0]


def test_the_card_tells_every_leg() -> None:
    record = json.loads((FOLDER / "pretraining.json").read_text(encoding="utf-8"))
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert record["legs"]
    for number, leg in enumerate(record["legs"], 1):
        assert f"| {number} | {leg['objective']} | {leg['steps']:,} | {leg['tokens']:,} |" in card
    assert "## Limits" in card
    assert not any(str(path.name).startswith("checkpoint") for path in Path(FOLDER).iterdir())
