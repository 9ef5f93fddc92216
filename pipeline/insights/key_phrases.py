"""What a set of comments says that the others do not: class-based TF-IDF (Grootendorst 2022, BERTopic).

Weighed with how much more frequent a phrase is in the set than everywhere: by class-based TF-IDF alone, words that are
in every other comment (市, 小区 in letters to a city) come first in all sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pipeline.insights.table import Ints
from pipeline.insights.terms import Terms

_LEAST_SHARE = 0.05  # of a set's comments that a phrase must occur in
_WHOLE = 0.6  # a longer phrase stands for a shorter one that it accounts for to this share


@dataclass(frozen=True, slots=True)
class Phrase:
    """A key phrase. `count`: comments of the set that hold it."""

    text: str
    count: int
    weight: float


def key_phrases(terms: Terms, codes: Ints, classes: int, *, most: int = 6) -> list[tuple[Phrase, ...]]:
    """Of each class 0 … classes-1 its phrases, the most telling first. `codes`: (n,), negative for rows of no class."""
    rows = np.flatnonzero(codes >= 0)
    of_class = sparse.csr_matrix(
        (np.ones(len(rows), dtype=np.float32), (codes[rows], rows)), shape=(classes, len(codes))
    )
    counts = (of_class @ terms.matrix).tocsr()
    sizes = np.bincount(codes[rows], minlength=classes)
    # Against all comments, those of no class too: what everybody says names no class.
    return [_of_class(terms, counts[i], int(sizes[i]), classes, most) for i in range(classes)]


def _of_class(terms: Terms, row: Any, size: int, classes: int, most: int) -> tuple[Phrase, ...]:
    least = max(min(2, size), _LEAST_SHARE * size)
    kept = row.data >= least
    columns, counts = row.indices[kept], row.data[kept]
    total = np.maximum(terms.document_counts[columns], 1)
    rarity = np.log1p(terms.matrix.nnz / max(classes, 1) / total)
    lift = counts / max(size, 1) * terms.matrix.shape[0] / total
    weights = counts / max(size, 1) * rarity * np.log2(np.maximum(lift, 1.05))
    order = sorted(range(len(columns)), key=lambda i: (-weights[i], terms.names[columns[i]]))
    found = [Phrase(terms.names[columns[i]], int(counts[i]), float(weights[i])) for i in order[: 12 * most]]
    return tuple(_without_repeats(found)[:most])


def _without_repeats(found: Sequence[Phrase]) -> list[Phrase]:
    """Of phrases that hold each other one: the longer where it says most of what the shorter does."""
    kept: list[Phrase] = []
    for phrase in found:
        for i, other in enumerate(kept):
            if other.text in phrase.text and phrase.count >= _WHOLE * other.count:
                kept[i] = phrase
                break
            if other.text in phrase.text or phrase.text in other.text:
                break
        else:
            kept.append(phrase)
    return list({phrase.text: phrase for phrase in kept}.values())
