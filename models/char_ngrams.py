"""Character n-grams of many texts at once, found in a vocabulary by numpy.

An n-gram of up to three characters is one 64-bit number, 21 bits a character, so that the n-grams of a text are shifted
sums of its code points, and the vocabulary is a sorted array.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST = 3  # characters of an n-gram that fit into one number

_BITS = np.uint64(21)  # of a code point; NUL, which no text has, fills shorter n-grams up

Index = NDArray[np.intp]


@dataclass(frozen=True)
class CharVocabulary:
    """The n-grams that a model knows."""

    sizes: tuple[int, int]  # shortest and longest n-gram, at most LONGEST
    keys: NDArray[np.uint64]  # sorted
    features: Index  # of each key

    @classmethod
    def of(cls, terms: Sequence[str], sizes: tuple[int, int]) -> "CharVocabulary | None":
        """None where n-grams are too long for numbers."""
        if sizes[1] > LONGEST or any(not 0 < len(term) <= LONGEST for term in terms):
            return None
        keys = np.array([_key(term) for term in terms], dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        return cls(sizes, keys[order], order.astype(np.intp))

    def count(self, texts: Sequence[str]) -> tuple[Index, Index, Index]:
        """Row, feature and count of every known n-gram of every text, sorted by row and feature."""
        rows, keys = self._ngrams(texts)
        if not len(keys) or not len(self.keys):
            return (np.zeros(0, dtype=np.intp),) * 3
        places = np.searchsorted(self.keys, keys)
        places[places == len(self.keys)] = 0
        known = self.keys[places] == keys
        size = len(self.keys)
        pairs, counts = np.unique(rows[known] * size + self.features[places[known]], return_counts=True)
        return pairs // size, pairs % size, counts

    def _ngrams(self, texts: Sequence[str]) -> tuple[Index, NDArray[np.uint64]]:
        """Row and key of every n-gram."""
        points = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
        lengths = np.fromiter(map(len, texts), dtype=np.intp, count=len(texts))
        row = np.repeat(np.arange(len(texts), dtype=np.intp), lengths)
        rows, keys = [], []
        joined = points
        for size in range(1, self.sizes[1] + 1):
            if size > 1:
                # One shorter with every size: the last place has no n-gram of this size any more.
                joined = joined[:-1] + (points[size - 1 :] << np.uint64(_BITS * np.uint64(size - 1)))
            if size < self.sizes[0] or not len(joined):
                continue
            inside = row[: len(joined)] == row[size - 1 :]  # not across two texts
            rows.append(row[: len(joined)][inside])
            keys.append(joined[inside])
        if not keys:
            return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.uint64)
        return np.concatenate(rows), np.concatenate(keys)


def _key(term: str) -> int:
    return sum(ord(character) << (int(_BITS) * place) for place, character in enumerate(term))
