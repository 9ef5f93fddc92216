"""The nearest earlier comments to a new one: by embedding and words, exactly, up to 100,000 rows in milliseconds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.insights.table import Floats, Mask

_EMBEDDING_SHARE = 0.3
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A row and how alike it is, at most 1."""

    row: int
    likeness: float


class CaseIndex:
    """Comments to search among.

    `weights`: (n, terms) csr of unit rows; `embeddings`: (n, width) of unit rows, or None. Both from
    pipeline/insights/weights.py. Words decide for the most part: an encoder that was fitted to labels puts all
    complaints of one kind close together.
    """

    def __init__(self, weights: Any, embeddings: Floats | None = None) -> None:
        self._weights = weights
        self._embeddings = embeddings

    def nearest(self, row: int, *, most: int = 5, among: Mask | None = None) -> list[Neighbour]:
        """The rows most like one of the rows, without itself, the nearest first. `among`: (n,) which may."""
        likeness = np.asarray((self._weights @ self._weights[row].T).todense()).ravel()
        if self._embeddings is not None:
            likeness = (1 - _EMBEDDING_SHARE) * likeness + _EMBEDDING_SHARE * self._dots(self._embeddings[row])
        likeness = likeness.astype(np.float64)
        likeness[row] = -np.inf
        if among is not None:
            likeness[~among] = -np.inf
        best = np.argsort(-likeness, kind="stable")[:most]
        return [Neighbour(int(i), float(likeness[i])) for i in best if np.isfinite(likeness[i]) and likeness[i] > 0]

    def _dots(self, vector: Floats) -> Floats:
        found = self._embeddings
        if found is None:
            return np.zeros(0, dtype=np.float32)
        return np.concatenate([found[i : i + _CHUNK] @ vector for i in range(0, len(found), _CHUNK)])
