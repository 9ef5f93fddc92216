"""Character n-grams of many texts at once, found in a vocabulary by numpy.

An n-gram of up to three characters is one 64-bit number, 21 bits a character, so that the n-grams of a text are shifted
sums of its code points. The vocabulary is a hash table in three arrays: 100,000 n-grams are looked up with one miss of
the processor's caches each, where a binary search has a dozen, one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST = 3  # characters of an n-gram that fit into one number

_BITS = np.uint64(21)  # of a code point; NUL, which no text has, fills shorter n-grams up
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Fibonacci hashing [Knuth, TAOCP 3, 6.4]
_ROOM = 4  # buckets for each n-gram; with 100,000 of them no bucket holds more than six

Index = NDArray[np.intp]


@dataclass(frozen=True)
class CharVocabulary:
    """The n-grams that a model knows, by bucket."""

    sizes: tuple[int, int]  # shortest and longest n-gram, at most LONGEST
    keys: NDArray[np.uint64]  # one bucket after the other, then `depth` that no n-gram has
    features: Index  # of each key
    starts: NDArray[np.int32]  # of each bucket in `keys`
    depth: int  # most keys of a bucket

    @classmethod
    def of(cls, terms: Sequence[str], sizes: tuple[int, int]) -> "CharVocabulary | None":
        """None where n-grams are too long for numbers."""
        if sizes[1] > LONGEST or any(not 0 < len(term) <= LONGEST for term in terms):
            return None
        keys = np.array([_key(term) for term in terms], dtype=np.uint64)
        bits = max(1, (_ROOM * len(keys)).bit_length())
        buckets = _bucket(keys, bits)
        order = np.argsort(buckets, kind="stable")
        filled = np.bincount(buckets, minlength=1 << bits)
        starts = np.concatenate([[0], np.cumsum(filled)[:-1]]).astype(np.int32)
        depth = int(filled.max())
        return cls(sizes, np.append(keys[order], np.zeros(depth, np.uint64)), order.astype(np.intp), starts, depth)

    def count(self, texts: Sequence[str]) -> tuple[Index, Index, Index]:
        """Row, feature and count of every known n-gram of every text, sorted by row and feature."""
        rows, keys = self._ngrams(texts)
        places = self._find(keys)
        known = places >= 0
        size = max(1, len(self.features))
        pairs, counts = np.unique(rows[known] * size + self.features[places[known]], return_counts=True)
        return pairs // size, pairs % size, counts

    def _find(self, keys: NDArray[np.uint64]) -> Index:
        """Place of every key, -1 where it is unknown."""
        at = self.starts[_bucket(keys, (len(self.starts) - 1).bit_length())]
        found = np.full(len(keys), -1, dtype=np.intp)
        # Those beyond the bucket's end are other buckets' keys, and no key is there twice.
        for place in (at + step for step in range(self.depth)):
            hit = self.keys[place] == keys
            found[hit] = place[hit]
        return found

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


def _bucket(keys: NDArray[np.uint64], bits: int) -> Index:
    return ((keys * _GOLDEN) >> np.uint64(64 - bits)).astype(np.intp)
