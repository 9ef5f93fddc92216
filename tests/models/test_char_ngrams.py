import re
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.char_ngrams import CharVocabulary
from models.linear import grams

TEXTS = st.lists(st.text(alphabet="客服不回𠮷a 1\U0010ffff", max_size=8), max_size=6)


@given(texts=TEXTS, sizes=st.sampled_from([(1, 1), (1, 3), (2, 3), (3, 3)]))
def test_counts_are_those_of_the_strings(texts: list[str], sizes: tuple[int, int]) -> None:
    cut = [list(grams(text, unit="char", ngrams=sizes)) for text in texts]
    terms = sorted({gram for one in cut for gram in one})[::2]  # every other n-gram is unknown
    vocabulary = CharVocabulary.of(terms, sizes)
    assert vocabulary is not None
    rows, features, counts = vocabulary.count([re.sub("  +", " ", text) for text in texts])  # as `grams` spells them
    found = {(int(r), terms[f]): int(c) for r, f, c in zip(rows, features, counts, strict=True)}
    expected = {(i, gram): n for i, one in enumerate(cut) for gram, n in Counter(one).items() if gram in terms}
    assert found == expected
    assert np.all(np.diff(rows) >= 0)


def test_long_ngrams_are_left_to_strings() -> None:
    assert CharVocabulary.of(["一直不回"], (1, 4)) is None
    assert CharVocabulary.of(["一直不回"], (1, 3)) is None


def test_nothing_known() -> None:
    vocabulary = CharVocabulary.of([], (1, 3))
    assert vocabulary is not None
    assert [part.tolist() for part in vocabulary.count(["客服"])] == [[], [], []]
