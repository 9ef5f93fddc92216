"""Which comment holds which term, as a sparse matrix: words, new words and pairs of neighbouring words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from pipeline.insights.lexicon import Lexicon, shipped_lexicon
from pipeline.insights.new_words import NewWord, join_new_words
from pipeline.insights.table import Ints
from pipeline.insights.words import BREAK, all_words


@dataclass(frozen=True, eq=False)
class Terms:
    """`matrix`: (n, terms) csr of 1 where a comment holds a term. Pairs are terms of two words, joined."""

    names: tuple[str, ...]
    matrix: Any
    pair: "np.ndarray[Any, np.dtype[np.bool_]]"  # (terms,) whether the term is a pair
    parts: Ints  # (terms, 2) of a pair, the terms that it is made of; else -1
    new_words: tuple[NewWord, ...] = ()

    @cached_property
    def document_counts(self) -> Ints:
        """(terms,) in how many comments each occurs."""
        return np.asarray(self.matrix.sum(axis=0)).ravel().astype(np.int64)

    @cached_property
    def by_term(self) -> Any:
        """The matrix as csc, whose columns are looked at one by one."""
        return self.matrix.tocsc()

    def rows_with(self, term: int) -> Ints:
        """Indices of the comments that hold a term."""
        found = self.by_term
        return np.asarray(found.indices[found.indptr[term] : found.indptr[term + 1]], dtype=np.int64)


def read_terms(
    texts: Sequence[str],
    *,
    lexicon: Lexicon | None = None,
    least: int = 2,
    pairs: bool = True,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Terms:
    """Terms that at least `least` comments hold. Stop words are no terms and part of none.

    `processes` as `all_words` says.
    """
    stop_words = (lexicon or shipped_lexicon()).stop_words
    plain = all_words(texts, processes=processes, progress=progress)
    documents, new = join_new_words(plain, stop_words=stop_words)
    index: dict[str, int] = {}
    together: dict[tuple[str, str], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    within = _within(new)
    for row, (words, joined) in enumerate(zip(plain, documents, strict=True)):
        # A new word's parts count too: others may write only one of them.
        inside = [part for word in joined for part in within.get(word, ())]
        held = {
            index.setdefault(word, len(index))
            for word in (*words, *joined, *inside)
            if word != BREAK and word not in stop_words
        }
        rows += [row] * len(held)
        columns += held
    word_count = len(index)
    if pairs:
        for row, words in enumerate(documents):
            found = {
                together.setdefault(pair, len(together))
                for pair in pairwise(words)
                if pair[0] in index and pair[1] in index
            }
            rows += [row] * len(found)
            columns += [word_count + i for i in found]
    shape = (len(texts), word_count + len(together))
    data = np.ones(len(rows), dtype=np.float32)
    matrix = sparse.csr_matrix((data, (np.array(rows, np.int64), np.array(columns, np.int64))), shape=shape)
    parts = np.full((shape[1], 2), -1, dtype=np.int64)
    for (left, right), i in together.items():
        parts[word_count + i] = index[left], index[right]
    names = (*index, *(left + right for left, right in together))
    return _kept(names, matrix, parts, least=least, new=tuple(new))


def _within(new: Sequence[NewWord]) -> dict[str, list[str]]:
    """New word -> the new words that it is made of."""
    known = {word.word: word.parts for word in new}

    def inside(word: str) -> list[str]:
        return [found for part in known.get(word, ()) if part in known for found in (part, *inside(part))]

    return {word: inside(word) for word in known}


def _kept(names: Sequence[str], matrix: Any, parts: Ints, *, least: int, new: tuple[NewWord, ...]) -> Terms:
    """Without rare terms; sorted by name, so that the order of the comments does not show."""
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    kept = sorted(np.flatnonzero(counts >= least).tolist(), key=lambda i: (parts[i, 0] >= 0, names[i]))
    place = np.full(len(names), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    found = parts[kept]
    found = np.where(found >= 0, place[found], -1)
    return Terms(tuple(names[i] for i in kept), matrix[:, kept].tocsr(), found[:, 0] >= 0, found, new)
