"""Average linkage over many comments: clusters whose members are, on average, alike enough.

Average linkage is reducible: merging every pair of mutual nearest neighbours at once gives the same tree as merging
the closest pair alone, one after the other (Murtagh 1983). And a cluster whose nearest neighbour is not alike enough
stays as it is for good, so that it drops out. Each round is one sparse product over what is left.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pipeline.insights.table import Floats, Ints

_CHUNK = 1024
_DIGITS = 6  # likeness is compared to so many: both directions of a pair must agree


@dataclass(frozen=True, eq=False)
class Likeness:
    """Cosine of the weighted terms plus `share` times that of the embeddings, for pairs with a common term at all.

    `terms`: (n, terms) csr and `embeddings`: (n, width) or None, both with rows of unit length or zero.
    """

    terms: Any
    embeddings: Floats | None = None
    share: float = 0.0


def average_linkage(likeness: Likeness, threshold: float, *, start: Ints | None = None) -> Ints:
    """(n,) number of each row's cluster, numbered in order of first appearance.

    `start`: (n,) clusters to begin with, such as near-duplicates. Deterministic: among equals the first row wins.
    """
    count = likeness.terms.shape[0]
    cluster = _renumbered(np.arange(count) if start is None else start)
    active = np.unique(cluster)
    while len(active) > 1:
        best, value = _nearest(likeness, cluster, active, threshold)
        alike = value >= threshold
        partner = np.where(alike, best, -1)
        mutual = alike & (partner[np.where(alike, best, 0)] == np.arange(len(active)))
        first = np.flatnonzero(mutual & (np.arange(len(active)) < best))
        if not len(first):
            break
        target = np.arange(cluster.max() + 1)
        target[active[best[first]]] = active[first]
        cluster = target[cluster]
        gone = np.zeros(len(active), dtype=np.bool_)
        gone[best[first]] = True
        active = active[alike & ~gone]
    return _renumbered(cluster)


def _nearest(likeness: Likeness, cluster: Ints, active: Ints, threshold: float) -> tuple[Ints, npt.NDArray[np.float64]]:
    """For each active cluster its nearest other one, as index into `active`, and how alike they are (-1: none)."""
    place = np.full(int(cluster.max()) + 1, -1, dtype=np.int64)
    place[active] = np.arange(len(active))
    rows = np.flatnonzero(place[cluster] >= 0)
    at = place[cluster[rows]]
    sizes = np.bincount(at, minlength=len(active)).astype(np.float32)
    members = sparse.csr_matrix((1 / sizes[at], (at, rows)), shape=(len(active), len(cluster)))
    means = (members @ likeness.terms).tocsr()
    vectors = None if likeness.embeddings is None else np.asarray(members @ likeness.embeddings, dtype=np.float32)
    transposed = means.T.tocsr()
    best = np.zeros(len(active), dtype=np.int64)
    value = np.full(len(active), -1.0)
    least = threshold - (likeness.share if vectors is not None else 0.0)
    for begin in range(0, len(active), _CHUNK):
        product = (means[begin : begin + _CHUNK] @ transposed).tocoo()
        row, column, data = product.row + begin, product.col, product.data
        keep = (data >= max(least, 0.0)) & (row != column)
        row, column, data = row[keep], column[keep], data[keep].astype(np.float64)
        if vectors is not None:
            data += likeness.share * _dots(vectors, row, column)
        if not len(row):
            continue
        data = np.round(data, _DIGITS)
        order = np.lexsort((column, -data, row))
        row, column, data = row[order], column[order], data[order]
        found, where = np.unique(row, return_index=True)
        best[found], value[found] = column[where], data[where]
    return best, value


def _dots(vectors: Floats, row: Ints, column: Ints) -> npt.NDArray[np.float64]:
    found = np.empty(len(row))
    for begin in range(0, len(row), 1 << 16):
        part = slice(begin, begin + (1 << 16))
        found[part] = np.einsum("ij,ij->i", vectors[row[part]], vectors[column[part]])
    return found


def _renumbered(cluster: Ints) -> Ints:
    _, first, inverse = np.unique(cluster, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[inverse], dtype=np.int64)
