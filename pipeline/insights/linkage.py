"""Average linkage over many comments: clusters whose members are, on average, alike enough.

Average linkage is reducible: merging every pair of mutual nearest neighbours at once gives the same tree as merging
the closest pair alone, one after the other (Murtagh 1983). And a cluster whose nearest neighbour is not alike enough
stays as it is for good, so that it drops out. Nor does a merger change the nearest neighbour of a cluster that is not
next to it: each round is one sparse product of those that merged, or whose neighbour did, with what is left.
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
    numbers = int(cluster.max(initial=-1)) + 1
    best = np.full(numbers, -1, dtype=np.int64)
    value = np.full(numbers, -1.0)
    active = np.arange(numbers)
    stale = active
    while len(stale):
        best[stale], value[stale] = _nearest(likeness, cluster, active, stale, threshold)
        active = active[value[active] >= threshold]
        partner = best[active]
        first = active[(best[partner] == active) & (value[partner] >= threshold) & (active < partner)]
        second = best[first]
        target = np.arange(numbers)
        target[second] = first
        cluster = target[cluster]
        gone = np.zeros(numbers, dtype=np.bool_)
        gone[second] = True
        active = active[~gone[active]]
        merged = gone.copy()
        merged[first] = True
        stale = active[merged[active] | merged[best[active]]]
    return _renumbered(cluster)


def _nearest(
    likeness: Likeness, cluster: Ints, active: Ints, asked: Ints, threshold: float
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """For each cluster asked for its nearest active one other than itself, and how alike they are (-1: none)."""
    place = np.full(int(cluster.max()) + 1, -1, dtype=np.int64)
    place[active] = np.arange(len(active))
    rows = np.flatnonzero(place[cluster] >= 0)
    at = place[cluster[rows]]
    sizes = np.bincount(at, minlength=len(active)).astype(np.float32)
    members = sparse.csr_matrix((1 / sizes[at], (at, rows)), shape=(len(active), len(cluster)))
    means = (members @ likeness.terms).tocsr()
    vectors = None if likeness.embeddings is None else np.asarray(members @ likeness.embeddings, dtype=np.float32)
    transposed = means.T.tocsr()
    best = np.full(len(asked), -1, dtype=np.int64)
    value = np.full(len(asked), -1.0)
    least = max(threshold - (likeness.share if vectors is not None else 0.0), 0.0)
    for begin in range(0, len(asked), _CHUNK):
        own = place[asked[begin : begin + _CHUNK]]
        product = (means[own] @ transposed).tocoo()
        keep = (product.data >= least) & (own[product.row] != product.col)
        row, column, data = product.row[keep], product.col[keep], product.data[keep].astype(np.float64)
        if vectors is not None:
            # The embedding moves a pair by `share` at most: what lies twice that behind the row's best is not the best.
            leading = np.zeros(len(own))
            np.maximum.at(leading, row, data)
            near = data >= leading[row] - 2 * likeness.share
            row, column, data = row[near], column[near], data[near]
            data += likeness.share * _dots(vectors, own[row], column)
        if not len(row):
            continue
        data = np.round(data, _DIGITS)
        order = np.lexsort((column, -data, row))
        found, where = np.unique(row[order], return_index=True)
        best[begin + found] = active[column[order][where]]
        value[begin + found] = data[order][where]
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
