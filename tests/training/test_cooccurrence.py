"""Embeddings from co-occurrence."""

import numpy as np
import pytest

from training.cooccurrence import cooccurrences, embeddings

# 5 and 6 stand beside 7; 8 and 9 beside 10; 0 parts the sentences.
BLOCK = np.array([0, 5, 7, 0, 6, 7, 0, 8, 10, 0, 9, 10] * 20, np.uint16)


def test_pairs_are_counted_by_distance_and_not_over_borders() -> None:
    counts = cooccurrences([np.array([0, 5, 6, 7, 0, 5], np.uint16)], vocabulary=8, specials=1).toarray()
    assert counts[5, 6] == counts[6, 5] == 1
    assert counts[5, 7] == 0.75
    assert counts[7, 5] == 0.75
    assert counts[0].sum() == counts[5, 5] == 0


def test_tokens_with_the_same_company_are_alike() -> None:
    table = embeddings([BLOCK], vocabulary=12, width=4, specials=1, seed=3)
    assert table.shape == (12, 4)
    assert np.linalg.norm(table, axis=1) == pytest.approx(np.ones(12), abs=1e-5)
    assert table[5] @ table[6] > 0.9
    assert abs(table[5] @ table[8]) < 0.5


def test_blocks_add_up() -> None:
    whole = cooccurrences([BLOCK], vocabulary=12, specials=1)
    halves = cooccurrences([BLOCK[:120], BLOCK[120:]], vocabulary=12, specials=1)
    assert abs(whole - halves).max() == 0
