"""Comments that are the same, or nearly: they must not stand on two sides of a split.

Nearly the same: Jaccard similarity of the sets of character 3-grams, over letters, digits and Han only. Candidates come
from MinHash with locality-sensitive hashing (Broder 1997; Indyk and Motwani 1998); each is verified by its true value.
"""

import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pipeline.errors import ConfigError

_GRAM = 3
_PERMUTATIONS = 64
# Rows a band by threshold. A missed pair leaks, a false one only costs its verification: of pairs at the threshold
# 1 - (1 - 0.8**4)**16 = 99.98 % are found for 0.8; datasketch's own choice (10 bands of 6) finds 95 %.
_BAND_ROWS = ((0.75, 4), (0.45, 2), (0.0, 1))


def text_key(text: str) -> str:
    """The text reduced to letters, digits and Han, case folded: equal keys are the same comment.

    A text with none of them (emoji only) is its own key.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum()) or text.strip()


def jaccard(one: str, other: str) -> float:
    """Similarity of two keys, 0 to 1."""
    a, b = _grams(one), _grams(other)
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def exact_groups(texts: Iterable[str]) -> list[int]:
    """Group number of each text, numbered in order of appearance; texts with one key share one."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(text_key(text), len(numbers)) for text in texts]


def near_duplicate_groups(
    texts: Sequence[str], *, threshold: float = 0.8, progress: Callable[[int], None] | None = None
) -> list[int]:
    """Group number of each text, numbered in order of appearance; a chain of near-duplicates is one group.

    `progress` is called with the number of distinct texts done. Raises ConfigError `extra_missing` without datasketch,
    `threshold_invalid` unless 0 < threshold <= 1.
    """
    if not 0 < threshold <= 1:
        raise ConfigError("threshold_invalid", f"a similarity is above 0 and at most 1; found {threshold}")
    exact = exact_groups(texts)
    keys: list[str] = []
    for text, number in zip(texts, exact, strict=True):
        if number == len(keys):
            keys.append(text_key(text))
    roots = _merged(keys, threshold=threshold, progress=progress)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(roots[number], len(numbers)) for number in exact]


def _merged(keys: Sequence[str], *, threshold: float, progress: Callable[[int], None] | None) -> list[int]:
    """Root of each distinct key after joining all pairs at or over the threshold."""
    sets = DisjointSets(len(keys))
    index = _index(threshold)
    for i, sketch in enumerate(_sketches(keys)):
        for j in sorted(index.query(sketch)):
            # One verified pair joins whole groups, so members of one group are not compared again.
            if sets.root(i) != sets.root(j) and jaccard(keys[i], keys[j]) >= threshold:
                sets.join(i, j)
        index.insert(i, sketch, check_duplication=False)
        if progress is not None and i % 500 == 499:
            progress(i + 1)
    return [sets.root(i) for i in range(len(keys))]


class DisjointSets:
    """Numbers 0 to n-1 in sets that can be joined; the smallest member is a set's root."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        low, high = sorted((self.root(i), self.root(j)))
        self._parent[high] = low


def _grams(key: str) -> set[str]:
    return {key[i : i + _GRAM] for i in range(max(1, len(key) - _GRAM + 1))}


def _sketches(keys: Iterable[str]) -> Iterator[Any]:
    from datasketch import MinHash

    grams = ([gram.encode("utf-8", "surrogatepass") for gram in sorted(_grams(key))] for key in keys)
    return iter(MinHash.generator(grams, num_perm=_PERMUTATIONS, seed=1, hashfunc=zlib.crc32, scheme="affine32"))


def _index(threshold: float) -> Any:
    try:
        from datasketch import MinHashLSH
    except ImportError:
        message = 'near-duplicates need the training extra; install it with: pip install ".[train]" in the checkout'
        raise ConfigError("extra_missing", message) from None
    rows = next(rows for least, rows in _BAND_ROWS if threshold >= least)
    return MinHashLSH(num_perm=_PERMUTATIONS, params=(_PERMUTATIONS // rows, rows))
