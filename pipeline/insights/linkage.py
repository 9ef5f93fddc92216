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
from sparse_dot_topn import sp_matmul_topn

from pipeline.cores import usable_cores
from pipeline.insights.table import Floats, Ints, Mask

_NEIGHBOURS = 16  # by terms, that are looked at first; four times as many where another may be nearer
_PAIRS = 1 << 20  # looked at together
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
    search = _Search(likeness, place[cluster], len(active), threshold)
    own = place[asked]
    best = np.full(len(asked), -1, dtype=np.int64)
    value = np.full(len(asked), -1.0)
    unsure = np.arange(len(asked))
    neighbours = _NEIGHBOURS
    while len(unsure):
        left = []
        for begin in range(0, len(unsure), max(_PAIRS // neighbours, 1)):
            part = unsure[begin : begin + max(_PAIRS // neighbours, 1)]
            best[part], value[part], sure = search.nearest(own[part], neighbours)
            left.append(part[~sure])
        unsure = np.concatenate(left)
        neighbours *= 4
    return np.where(best >= 0, active[best], -1), value


class _Search:
    """Clusters to look for the nearest one among. `at`: (n,) number of each row's cluster, negative for none."""

    def __init__(self, likeness: Likeness, at: Ints, count: int, threshold: float) -> None:
        rows = np.flatnonzero(at >= 0)
        sizes = np.bincount(at[rows], minlength=count).astype(np.float32)
        members = sparse.csr_matrix((1 / sizes[at[rows]], (at[rows], rows)), shape=(count, len(at)))
        self._means = (members @ likeness.terms).tocsr()
        self._transposed = self._means.T.tocsr()
        vectors = likeness.embeddings
        self._vectors = None if vectors is None else np.asarray(members @ vectors, dtype=np.float32)
        self._share = 0.0 if vectors is None else likeness.share
        self._threshold = threshold
        self._threads = usable_cores()

    def nearest(self, own: Ints, neighbours: int) -> tuple[Ints, npt.NDArray[np.float64], Mask]:
        """Of each the nearest of so many `neighbours` by terms, how alike they are, and whether no other is nearer."""
        least = max(self._threshold - self._share, 0.0)
        top = min(neighbours + 1, self._means.shape[0])  # itself is one of them
        # Threaded, and without making the product whole, which has thousands of entries a row.
        product = sp_matmul_topn(
            self._means[own], self._transposed, top_n=top, threshold=least, n_threads=self._threads
        ).tocsr()
        cut = np.flatnonzero(np.diff(product.indptr) == top) if top < self._means.shape[0] else np.zeros(0, np.int64)
        lowest = np.full(len(own), -np.inf)
        lowest[cut] = product.data[product.indptr[cut][:, None] + np.arange(top)].min(axis=1)
        product = product.tocoo()
        keep = own[product.row] != product.col
        row, column, data = product.row[keep], product.col[keep], product.data[keep].astype(np.float64)
        if self._vectors is not None:
            # The embedding moves a pair by `share` at most: what lies twice that behind the row's best is not the best.
            leading = np.zeros(len(own))
            np.maximum.at(leading, row, data)
            near = data >= leading[row] - 2 * self._share
            row, column, data = row[near], column[near], data[near]
            data += self._share * _dots(self._vectors, own[row], column)
        best = np.full(len(own), -1, dtype=np.int64)
        value = np.full(len(own), -1.0)
        data = np.round(data, _DIGITS)
        order = np.lexsort((column, -data, row))
        found, where = np.unique(row[order], return_index=True)
        best[found], value[found] = column[order][where], data[order][where]
        return best, value, np.maximum(value, self._threshold) > lowest + self._share


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
