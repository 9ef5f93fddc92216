import numpy as np

from models.batching import pad, token_batches


def test_batches_hold_like_lengths_within_the_budget() -> None:
    lengths = [3, 40, 5, 38, 4, 100]
    batches = list(token_batches(lengths, budget=80))
    assert batches == [[5], [1, 3], [2, 4, 0]]  # the longest alone, over the budget as it is


def test_every_text_is_in_exactly_one_batch() -> None:
    lengths = [(7 * i) % 31 + 1 for i in range(100)]
    batches = list(token_batches(lengths, budget=64))
    assert sorted(i for batch in batches for i in batch) == list(range(100))
    assert all(len(batch) * max(lengths[i] for i in batch) <= 64 for batch in batches)


def test_few_texts_of_unlike_length_are_not_padded_to_the_longest() -> None:
    lengths = [200, 150, 40, 39, 38, 10, 9]
    batches = list(token_batches(lengths))
    assert batches == [[0], [1], [2, 3, 4], [5, 6]]  # within the budget the first four would have been one


def test_many_texts_fill_the_budget() -> None:
    batches = list(token_batches([10] * 200, budget=100))
    assert [len(batch) for batch in batches] == [10] * 20


def test_nothing_gives_no_batch() -> None:
    assert list(token_batches([])) == []


def test_pad_fills_behind_and_masks() -> None:
    ids, mask = pad([[2, 7, 3], [2, 3]], 9)
    assert ids.tolist() == [[2, 7, 3], [2, 3, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert ids.dtype == mask.dtype == np.int64
