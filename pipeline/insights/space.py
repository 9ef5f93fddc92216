"""Comments as points: latent semantic analysis of the weighted terms beside the embeddings' main directions.

Thirty dimensions of each: of 20 topics of citizen messages, two runs that share 90 % of the messages agree at an
adjusted Rand of 0.88 (with 100 dimensions 0.6: what is added is noise of rare terms).
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.insights.table import Floats
from pipeline.insights.terms import Terms
from pipeline.insights.weights import centered, principal, term_weights

DIMENSIONS = 30
_MOST_SHARE = 0.1  # of the comments that may hold a term which counts


@dataclass(frozen=True, eq=False)
class Space:
    """`points`: (n, dimensions) of unit length, zero where nothing is known of a comment."""

    points: Floats


def read_space(terms: Terms, embeddings: Floats | None, *, seed: int = 0) -> Space:
    """Deterministic for a seed."""
    lexical = _unit(_latent(term_weights(terms, most_share=_MOST_SHARE), seed))
    if embeddings is None:
        return Space(lexical)
    return Space(_unit(np.hstack([lexical, principal(centered(embeddings), DIMENSIONS)])))


def _latent(weights: Any, seed: int) -> Floats:
    from sklearn.decomposition import TruncatedSVD

    size = min(DIMENSIONS, min(weights.shape) - 1)
    if size < 1:
        return np.ones((weights.shape[0], 1), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the explained variance of a matrix without any
        found = TruncatedSVD(size, n_iter=7, random_state=seed).fit_transform(weights)
    return np.asarray(found, dtype=np.float32)


def _unit(points: Floats) -> Floats:
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(np.divide(points, lengths, out=np.zeros_like(points), where=lengths > 1e-6))
