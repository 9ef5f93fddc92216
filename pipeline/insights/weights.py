"""Comments as vectors of weighted terms: TF-IDF of unit length, for likeness between comments."""

from typing import Any

import numpy as np
from scipy import sparse

from pipeline.insights.table import Floats
from pipeline.insights.terms import Terms

_MOST_FITTED = 50_000  # rows that the main directions are found on


def term_weights(terms: Terms, *, most_share: float = 0.2, most: int | None = None) -> Any:
    """(n, terms) csr, rows of unit length (or zero): idf of each term that a comment holds.

    A term that over `most_share` of the comments hold, or more than `most`, tells nothing apart. Whether a term occurs
    once or twice in a comment says little in texts this short.
    """
    count = terms.matrix.shape[0]
    found = terms.document_counts
    limit = max(most_share * count, 10)
    idf = np.log((1 + count) / (1 + found)) * (found <= (limit if most is None else min(limit, most)))
    return unit_rows(terms.matrix @ sparse.diags(idf.astype(np.float32)))


def unit_rows(matrix: Any) -> Any:
    """Rows of a sparse matrix scaled to length 1; zero rows stay."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return (sparse.diags(scale.astype(np.float32)) @ matrix).tocsr()


def centered(embeddings: Floats) -> Floats:
    """(n, width) of unit length with the mean taken out, zero where a row has none.

    An encoder's vectors share one direction (Ethayarajh 2019): as they are, every two comments are 0.9 alike.
    """
    known = np.isfinite(embeddings).all(axis=1)
    found = np.zeros_like(embeddings)
    if known.any():
        found[known] = embeddings[known] - embeddings[known].mean(axis=0)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0))


def principal(points: Floats, width: int) -> Floats:
    """(n, at most width): main directions of unit rows around 0, of unit length again."""
    if points.shape[1] <= width:
        return points
    sample = points[:: max(1, len(points) // _MOST_FITTED)]
    _, vectors = np.linalg.eigh(sample.T @ sample)
    found = points @ vectors[:, ::-1][:, :width]
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 1e-6))
