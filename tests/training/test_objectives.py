"""Both objectives on an encoder of a few thousand weights."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel

from training.cooccurrence import embeddings
from training.objectives import (
    OBJECTIVES,
    Objective,
    Pretraining,
    Shape,
    guess_by_frequency,
    new_objective,
    prefer_attention,
    start_from,
)
from training.packing import Batch, batches, open_corpus

VOCABULARY = 130
MASK = 4


@pytest.fixture
def batch(small_corpus: Path) -> Batch:
    found = batches(open_corpus(small_corpus), rows=8, length=16, feedback=0.5, mask=0.3, specials=5, seed=1)
    return next(islice(found, 1))


def small(name: Objective) -> Pretraining:
    torch.manual_seed(5)
    config = Shape(layers=1, hidden=64, positions=64).config(vocabulary=VOCABULARY, pad_id=0, dropout=0.0)
    return new_objective(name, BertModel(config, add_pooling_layer=False), mask_id=MASK)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_falls_and_reaches_every_weight_of_the_encoder(name: Objective, batch: Batch) -> None:
    model = small(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        found = model(batch)
        found.total.backward()
        losses.append(float(found.total.detach()))
        if len(losses) == 1:
            untouched = [n for n, p in model.encoder.named_parameters() if p.grad is None]
            assert untouched == []
        optimizer.step()
        optimizer.zero_grad()
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_only_chosen_tokens_are_guessed(batch: Batch) -> None:
    model = small("mlm")
    seen: list[int] = []
    model.guess.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    model(batch)
    assert seen == [int(batch.chosen.sum())] == [len(batch.picked)]


def test_encoder_sees_the_generators_guesses_and_never_the_mask(batch: Batch) -> None:
    model = small("rtd")
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(
        lambda _module, _inputs, named: seen.append(named["input_ids"]), with_kwargs=True
    )
    model(batch)
    assert not (seen[0] == MASK).any()
    assert seen[0][~batch.chosen].equal(batch.ids[~batch.chosen])
    assert not seen[0].equal(batch.ids)


def test_tables_start_from_cooccurrence_and_guesses_from_frequencies(batch: Batch) -> None:
    model = small("mlm")
    table = np.eye(VOCABULARY, 64, dtype=np.float32)
    frequencies = np.full(VOCABULARY, 1 / VOCABULARY)
    start_from(model, table)
    guess_by_frequency(model, frequencies)
    rows = model.encoder.embeddings.word_embeddings.weight
    assert torch.nn.functional.cosine_similarity(rows[7], torch.from_numpy(table[7]), dim=0) > 0.999
    assert model.guess.bias.detach().exp().sum() == pytest.approx(1, abs=1e-3)


def test_context_tells_something_before_the_first_step(small_corpus: Path) -> None:
    """Guesses from frequencies cost the tokens' entropy; those of a fresh start cost less."""
    corpus = open_corpus(small_corpus)
    stream = np.concatenate([corpus.load(file) for file in corpus.shards["general"]]) & 0x7FFF
    frequencies = np.bincount(stream, minlength=VOCABULARY) * (np.arange(VOCABULARY) >= 5) + 1e-9
    frequencies /= frequencies.sum()
    table = embeddings([stream], vocabulary=VOCABULARY, width=64, specials=5, seed=1)
    model = small("mlm").train(False)
    start_from(model, table)
    guess_by_frequency(model, frequencies)
    batch = next(batches(corpus, rows=8, length=16, feedback=0.0, mask=0.3, specials=5, seed=1))
    entropy = -np.log(frequencies[batch.ids[batch.chosen].numpy()]).mean()
    assert float(model(batch).total.detach()) < entropy


def test_both_kinds_of_attention_agree(batch: Batch) -> None:
    outputs = []
    for device in ("cpu", "cuda"):
        model = small("mlm").train(False)
        prefer_attention(model, torch.device(device))
        torch.manual_seed(9)
        outputs.append(float(model(batch).total.detach()))
    assert outputs[0] == pytest.approx(outputs[1], abs=1e-4)


def test_half_precision_stays_near_full_precision(batch: Batch) -> None:
    model = small("mlm")
    prefer_attention(model, torch.device("cpu"))
    torch.manual_seed(9)
    full = float(model(batch).total.detach())
    torch.manual_seed(9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = float(model(batch).total.detach())
    assert half == pytest.approx(full, rel=0.01)
