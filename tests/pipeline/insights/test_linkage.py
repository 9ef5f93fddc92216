"""Average linkage: the clusters of a plain implementation, however few neighbours are looked at first."""

import numpy as np
import pytest
from scipy import sparse

from pipeline.insights import linkage
from pipeline.insights.linkage import Likeness, average_linkage

COUNT = 70


@pytest.fixture(scope="module")
def terms() -> sparse.csr_matrix:
    """Rows of unit length: some alike, many with one common term."""
    rng = np.random.default_rng(0)
    dense = (rng.random((COUNT, 60)) < 0.06) * rng.random((COUNT, 60))
    dense[:, 0] = 0.2
    dense[40:60] = dense[:20] + 0.02 * rng.random((20, 60))
    return sparse.csr_matrix((dense / np.linalg.norm(dense, axis=1, keepdims=True)).astype(np.float32))


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(COUNT, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plain(likeness: Likeness, threshold: float) -> set[frozenset[int]]:
    """The two clusters that are most alike on average are joined, as long as any are alike enough."""
    dense = likeness.terms.toarray().astype(np.float64)
    clusters = [[i] for i in range(len(dense))]

    def alike(one: list[int], other: list[int]) -> float:
        found = float(dense[one].mean(axis=0) @ dense[other].mean(axis=0))
        if not found or likeness.embeddings is None:
            return found
        return found + likeness.share * float(
            likeness.embeddings[one].mean(axis=0) @ likeness.embeddings[other].mean(axis=0)
        )

    while True:
        pairs = [(alike(a, b), i, j) for i, a in enumerate(clusters) for j, b in enumerate(clusters[:i])]
        best, i, j = max(pairs)
        if best < threshold:
            return {frozenset(cluster) for cluster in clusters}
        clusters[j] += clusters.pop(i)


def clusters_of(codes: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(codes == code).tolist()) for code in np.unique(codes)}


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_it_gives_the_clusters_of_the_plain_way(
    terms: sparse.csr_matrix, embeddings: np.ndarray, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    likeness = Likeness(terms, embeddings if share else None, share)
    expected = plain(likeness, 0.4)
    assert 20 < len(expected) < 60
    for neighbours in (1, 3, 1000):
        monkeypatch.setattr(linkage, "_NEIGHBOURS", neighbours)
        assert clusters_of(average_linkage(likeness, 0.4)) == expected


def test_a_start_is_kept(terms: sparse.csr_matrix) -> None:
    start = np.arange(COUNT)
    start[7] = start[3]
    codes = average_linkage(Likeness(terms), 2.0, start=start)
    assert codes[7] == codes[3]
    assert len(np.unique(codes)) == COUNT - 1
    assert average_linkage(Likeness(terms[:0]), 0.4).tolist() == []
