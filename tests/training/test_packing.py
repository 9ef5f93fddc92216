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
    assert (np.diff(positions)[~opening[1:]] == 1).all()
    assert (np.diff(rows.segments.ravel()) == opening[1:]).all()


def test_an_epoch_holds_every_token_once(small_corpus: Path) -> None:
    corpus = open_corpus(small_corpus)
    stored = np.concatenate([corpus.load(file) for file in corpus.shards["general"]]) & 0x7FFF
    rows = packed(corpus, "general", rows=1, length=len(stored), seed=3)
    assert sorted(next(rows).ids.ravel()) == sorted(stored)


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
    starts = np.array([[True, True, False, True, False, True]] * 500)
    ordinary = np.array([[False, True, True, True, True, False]] * 500)
    chosen = choose_words(starts, ordinary, share=0.25, rng=np.random.default_rng(1))
    assert (chosen[:, 1] == chosen[:, 2]).all()
    assert (chosen[:, 3] == chosen[:, 4]).all()
    assert not chosen[:, [0, 5]].any()
    assert chosen[:, 1].mean() == pytest.approx(0.25, abs=0.06)


def test_batches_go_on_over_epochs(small_corpus: Path) -> None:
    corpus = open_corpus(small_corpus)
    found = batches(corpus, rows=4, length=LENGTH, feedback=0.5, mask=0.15, specials=5, seed=1)
    assert len(list(islice(found, 60))) == 60
