"""Names that the dictionary lacks, found in the texts themselves: neighbouring words that stick together.

Two tests, as usual since Church and Hanks (1990) and Huang and Powers (2003): the pair occurs far more often than its
parts would by chance (pointwise mutual information), and what stands before and after it varies (branching entropy),
so that it is a whole and not a piece of one.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.insights.words import BREAK, is_word

_LEAST = 5  # occurrences
_PMI = 6.0  # bits: the pair is 64 times as frequent as by chance
_ENTROPY = 1.0  # bits: at least two neighbours that are equally frequent, on either side
_MOST_CHARS = 8
_ROUNDS = 2  # the second joins what the first has joined: names of up to four words


@dataclass(frozen=True, slots=True)
class NewWord:
    """A name found in the texts. `pmi` and `entropy` in bits."""

    word: str
    parts: tuple[str, str]
    count: int
    pmi: float
    entropy: float


def join_new_words(
    documents: Sequence[list[str]], *, stop_words: frozenset[str], least: int = _LEAST
) -> tuple[list[list[str]], list[NewWord]]:
    """The documents with new words joined to one word each, and the new words, the most frequent first."""
    found: dict[str, NewWord] = {}
    current = list(documents)
    for _ in range(_ROUNDS):
        words = _new_words(current, stop_words=stop_words, least=least)
        if not words:
            break
        found |= {word.word: word for word in words}
        pairs = {word.parts: word.word for word in words}
        current = [_joined(document, pairs) for document in current]
    return current, sorted(found.values(), key=lambda word: (-word.count, word.word))


def _new_words(documents: Sequence[list[str]], *, stop_words: frozenset[str], least: int) -> list[NewWord]:
    singles: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for document in documents:
        singles.update(document)
        pairs.update(pairwise(document))
    total = sum(count for word, count in singles.items() if word != BREAK)
    part = _usable(stop_words)
    likely = {}
    for (left, right), count in pairs.items():
        if count < least or not part(left) or not part(right) or len(left) + len(right) > _MOST_CHARS:
            continue
        pmi = math.log2(count * total / (singles[left] * singles[right]))
        if pmi >= _PMI:
            likely[left, right] = pmi
    entropies = _branching(documents, likely)
    return [
        NewWord(left + right, (left, right), pairs[left, right], pmi, entropies[left, right])
        for (left, right), pmi in likely.items()
        if entropies[left, right] >= _ENTROPY
    ]


def _usable(stop_words: frozenset[str]) -> Callable[[str], bool]:
    return lambda word: word != BREAK and word not in stop_words and is_word(word)


def _branching(documents: Sequence[list[str]], likely: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """The smaller of the entropies of what stands before and after each pair, in bits.

    The border of a clause counts as a new neighbour each time: what stands alone is whole.
    """
    before: dict[tuple[str, str], Counter[object]] = {pair: Counter() for pair in likely}
    after: dict[tuple[str, str], Counter[object]] = {pair: Counter() for pair in likely}
    for number, document in enumerate(documents):
        for i in range(len(document) - 1):
            pair = (document[i], document[i + 1])
            if pair in likely:
                left = document[i - 1] if i else BREAK
                right = document[i + 2] if i + 2 < len(document) else BREAK
                before[pair][(number, i) if left == BREAK else left] += 1
                after[pair][(number, i) if right == BREAK else right] += 1
    return {pair: min(_entropy(before[pair]), _entropy(after[pair])) for pair in likely}


def _entropy(counts: Counter[object]) -> float:
    total = sum(counts.values())
    return -sum(count / total * math.log2(count / total) for count in counts.values())


def _joined(document: list[str], pairs: dict[tuple[str, str], str]) -> list[str]:
    joined: list[str] = []
    i = 0
    while i < len(document):
        word = pairs.get((document[i], document[i + 1])) if i + 1 < len(document) else None
        joined.append(word or document[i])
        i += 2 if word else 1
    return joined
