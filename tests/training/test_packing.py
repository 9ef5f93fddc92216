"""Packed rows and whole-word masks."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from training.packing import Batch, batches, choose_words, open_corpus, packed

LENGTH = 16


def first(corpus: Path, seed: int = 1, feedback: float = 0.5) -> Batch:
    found = batches(open_corpus(corpus), rows=4, length=LENGTH, feedback=feedback, mask=0.3, specials=5, seed=seed)
    return next(found)


def test_rows_are_full_and_positions_are_those_of_the_document(small_corpus: Path) -> None:
    corpus = open_corpus(small_corpus)
    rows = next(packed(corpus, "feedback", rows=4, length=LENGTH, seed=3))
    ids, positions = rows.ids.ravel(), rows.positions.ravel()
    opening = ids == ids[0]
    assert (positions[opening] == 0).all()
    # Behind an opening the positions count on, also from one row to the next.
    assert (positions.diff()[~opening[1:]] == 1).all()
    assert (rows.segments.ravel().diff() == opening[1:]).all()


def test_an_epoch_holds_every_token_once(small_corpus: Path) -> None:
    corpus = open_corpus(small_corpus)
    stored = np.concatenate([corpus.load(file) for file in corpus.shards["general"]]) & 0x7FFF
    rows = packed(corpus, "general", rows=1, length=len(stored), seed=3)
    assert sorted(next(rows).ids.ravel().tolist()) == sorted(stored.tolist())


def test_documents_do_not_see_each_other(small_corpus: Path) -> None:
    batch = first(small_corpus)
    seen = batch.attention()
    assert seen.shape == (4, 1, LENGTH, LENGTH)
    one, other = torch.nonzero(batch.ids[0] == batch.ids[0, 0]).ravel()[:2].tolist()
    assert not seen[0, 0, one, other]
    assert seen[0, 0, one, one + 1]
    bias = batch.attention_bias(torch.bfloat16)
    assert (bias == 0).equal(seen)
    assert bias.min() < -1000


def test_same_seed_same_batches(small_corpus: Path) -> None:
    assert first(small_corpus).ids.equal(first(small_corpus).ids)
    assert not first(small_corpus).ids.equal(first(small_corpus, seed=2).ids)


@pytest.mark.parametrize(("share", "rows"), [(1.0, 4), (0.0, 0)])
def test_share_of_feedback(small_corpus: Path, share: float, rows: int) -> None:
    corpus = open_corpus(small_corpus)
    general = {int(t) for file in corpus.shards["general"] for t in corpus.load(file) & 0x7FFF}
    batch = first(small_corpus, feedback=share)
    # Every post names the same stop: its rows know no other tokens.
    assert sum(not set(row.tolist()) <= general for row in batch.ids) == rows


def test_words_are_chosen_whole_and_specials_never() -> None:
    starts = torch.tensor([[True, True, False, True, False, True]] * 500)
    ordinary = torch.tensor([[False, True, True, True, True, False]] * 500)
    picked = choose_words(starts, ordinary, share=0.25, random=torch.Generator().manual_seed(1))
    assert len(set(picked.tolist())) == 750  # always as many, of 3,000
    chosen = torch.zeros(3000, dtype=torch.bool).index_fill_(0, picked, True).view(500, 6)
    torn = (chosen[:, 1] ^ chosen[:, 2]).sum() + (chosen[:, 3] ^ chosen[:, 4]).sum()
    assert torn <= 1  # the last one drawn
    assert not chosen[:, [0, 5]].any()
    assert chosen[:, 1].float().mean() == pytest.approx(0.375, abs=0.06)


def test_a_process_has_its_rows_and_the_tokens_chosen_in_them(small_corpus: Path) -> None:
    batch = first(small_corpus)
    parts = [batch.part(number, 2) for number in range(2)]
    assert torch.stack([part.ids for part in parts], 1).view_as(batch.ids).equal(batch.ids)
    for part in parts:
        assert part.picked.equal(part.chosen.flatten().nonzero().squeeze(-1))
    assert sum(len(part.picked) for part in parts) == len(batch.picked)


def test_batches_go_on_over_epochs(small_corpus: Path) -> None:
    corpus = open_corpus(small_corpus)
    found = batches(corpus, rows=4, length=LENGTH, feedback=0.5, mask=0.15, specials=5, seed=1)
    assert len(list(islice(found, 60))) == 60
