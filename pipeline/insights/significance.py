"""Tests of counts: tails of the negative binomial, and the false discovery rate over many of them."""

import numpy as np
from scipy import stats

from pipeline.insights.seasons import Doubles
from pipeline.insights.table import Mask


def count_tail(counts: Doubles, expected: Doubles, variance: Doubles) -> Doubles:
    """P(X >= count) of a negative binomial with this mean and variance; of a Poisson where they are equal."""
    counts, expected, variance = np.broadcast_arrays(counts, np.maximum(expected, 1e-12), variance)
    over = variance > expected * (1 + 1e-9)
    found = np.where(counts <= 0, 1.0, stats.poisson.sf(counts - 1, expected))
    if over.any():
        mean, spread = expected[over], variance[over]
        size = mean**2 / (spread - mean)
        found[over] = np.where(counts[over] <= 0, 1.0, stats.nbinom.sf(counts[over] - 1, size, mean / spread))
    return np.asarray(found)


def discoveries(p_values: Doubles, rate: float, *, tests: Doubles | None = None) -> Mask:
    """Which tests to believe so that at most `rate` of them are false (Benjamini and Hochberg 1995).

    `tests`: as how many tests each counts, where not as one of all. Kinds of tests that share the rate evenly, so that
    ten thousand words do not drown a dozen labels, are weights as in Genovese, Roeder and Wasserman (2006).
    """
    if not len(p_values):
        return np.zeros(0, dtype=np.bool_)
    weighed = p_values * (len(p_values) if tests is None else tests)
    order = np.argsort(weighed, kind="stable")
    passed = weighed[order] <= rate * np.arange(1, len(order) + 1)
    found = np.zeros(len(p_values), dtype=np.bool_)
    if passed.any():
        found[order[: int(np.flatnonzero(passed)[-1]) + 1]] = True
    return found


def adjusted(p_values: Doubles) -> Doubles:
    """The smallest false discovery rate at which each test would be believed (q-values of Benjamini and Hochberg)."""
    if not len(p_values):
        return p_values
    return np.asarray(stats.false_discovery_control(np.clip(p_values, 0, 1), method="bh"))
