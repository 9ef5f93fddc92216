"""Intervals: seeded, paired, and about as wide as theory says."""

import time

import numpy as np
import pytest

from pipeline.schema import LabelSchema
from training.bootstrap import intervals, paired, weights
from training.metrics import RowStatistics, row_statistics


def answers(schema: LabelSchema, *, rows: int, right: float, seed: int = 0, shift: int = 0) -> RowStatistics:
    """Sentiment answers of which a share is right; with `shift` some right ones of the same seed turn wrong."""
    random = np.random.default_rng(seed)
    gold = random.integers(0, 3, size=rows)
    chosen = np.where(random.uniform(size=rows) < right, gold, (gold + 1) % 3)
    chosen[:shift] = (gold[:shift] + 1) % 3
    return row_statistics(schema.task("sentiment"), gold, np.eye(3)[chosen])


def test_interval_of_accuracy_is_as_wide_as_the_binomial_says(schema: LabelSchema) -> None:
    found = intervals(answers(schema, rows=1000, right=0.8))["accuracy"]
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / 1000)
    assert found.low == pytest.approx(found.value - half, abs=0.006)
    assert found.high == pytest.approx(found.value + half, abs=0.006)


def test_same_seed_same_interval_other_seed_another(schema: LabelSchema) -> None:
    rows = answers(schema, rows=200, right=0.7)
    assert intervals(rows, seed=3) == intervals(rows, seed=3)
    assert intervals(rows, seed=3) != intervals(rows, seed=4)


def test_pairing_settles_what_single_intervals_cannot(schema: LabelSchema) -> None:
    better, worse = answers(schema, rows=400, right=0.8), answers(schema, rows=400, right=0.8, shift=12)
    difference = paired(worse, better)["accuracy"]
    assert difference.settled
    assert difference.low > 0
    apart = intervals(better)["accuracy"].low > intervals(worse)["accuracy"].high
    assert not apart


def test_a_model_against_itself_differs_by_nothing(schema: LabelSchema) -> None:
    rows = answers(schema, rows=100, right=0.6)
    difference = paired(rows, rows)["macro_f1"]
    assert (difference.value, difference.low, difference.high, difference.settled) == (0, 0, 0, False)


def test_unlabelled_rows_do_not_thin_the_draws(schema: LabelSchema) -> None:
    task, gold = schema.task("sentiment"), np.array([0, 1, 2] * 40)
    p = np.eye(3)[np.where(np.arange(120) % 5 == 0, (gold + 1) % 3, gold)]
    alone = intervals(row_statistics(task, gold, p))
    padded = row_statistics(task, np.append(gold, [-1] * 500), np.vstack([p, np.tile(p[:1], (500, 1))]))
    assert intervals(padded)["accuracy"] == alone["accuracy"]


def test_weights_are_counts_of_rows_taken() -> None:
    blocks = list(weights(50, draws=20, seed=1))
    assert sum(len(block) for block in blocks) == 20
    assert all((block.sum(axis=1) == 50).all() for block in blocks)


def test_a_thousand_draws_on_a_thousand_rows_take_under_three_seconds(schema: LabelSchema) -> None:
    random = np.random.default_rng(0)
    task, gold = schema.task("category"), random.integers(0, 12, size=1000)
    rows = row_statistics(task, gold, random.dirichlet(np.ones(12), size=1000))
    start = time.process_time()
    intervals(rows)
    assert time.process_time() - start < 3
