"""Every figure against scikit-learn or against a count by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    mean_absolute_error,
    precision_recall_fscore_support,
)

from models.calibration import TaskCalibration
from pipeline.schema import LabelSchema, Task, schema_from_dict
from training.metrics import measure, row_statistics

ROWS = 400


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def dirichlet(random: np.random.Generator, gold: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Probabilities that lean to the gold label and are right about half of the time."""
    p = random.dirichlet(np.ones(k), size=len(gold))
    p[np.arange(len(gold)), gold] += random.uniform(0, 0.5, size=len(gold))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def multi_task() -> Task:
    labels = ["late", "rude", "broken"]
    return schema_from_dict({"tasks": {"tags": {"kind": "multi", "labels": labels}}}).task("tags")


def test_single_task_equals_scikit_learn(schema: LabelSchema, random: np.random.Generator) -> None:
    task = schema.task("category")
    gold = random.integers(0, 11, size=ROWS)  # `other`, the twelfth, never occurs
    p = dirichlet(random, gold, 12)
    found, predicted, present = measure(task, gold, p), p.argmax(axis=1), list(range(11))
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(gold, predicted, labels=present, average="macro"))
    table = precision_recall_fscore_support(gold, predicted, labels=present, zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "support"), table, strict=True):
        assert [found[f"{name}.{task.keys[i]}"] for i in present] == pytest.approx(list(column))
    assert "f1.other" not in found


def test_ordinal_task_equals_scikit_learn(schema: LabelSchema, random: np.random.Generator) -> None:
    task = schema.task("urgency")
    gold = random.integers(0, 4, size=ROWS)
    p = dirichlet(random, gold, 4)
    found = measure(task, gold, p)
    levels = sum((p[:, j:].sum(axis=1) >= 0.5).astype(int) for j in (1, 2, 3))
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, levels))
    assert found["qwk"] == pytest.approx(cohen_kappa_score(gold, levels, weights="quadratic"))
    assert found["mae"] == pytest.approx(mean_absolute_error(gold, levels))
    alert = precision_recall_fscore_support(gold >= 2, levels >= 2, average="binary")
    assert (found["precision.alert"], found["recall.alert"]) == pytest.approx(alert[:2])
    top = np.argsort(-p[:, 2:].sum(axis=1))[:100]
    assert found["recall_top_quarter.alert"] == pytest.approx((gold[top] >= 2).sum() / (gold >= 2).sum())


def test_cuts_decide_the_level(schema: LabelSchema) -> None:
    task, gold = schema.task("urgency"), np.array([2, 0])
    p = np.array([[0.2, 0.5, 0.25, 0.05], [0.9, 0.1, 0.0, 0.0]])
    assert measure(task, gold, p)["accuracy"] == 0.5
    assert measure(task, gold, p, calibration=TaskCalibration(cuts=(0.5, 0.25, 0.5)))["accuracy"] == 1.0


def test_a_level_too_low_costs_the_minutes_between_the_two_deadlines(schema: LabelSchema) -> None:
    task = schema.task("urgency")
    p = np.eye(4)[[0, 3]]  # decided low (24 h) and critical (30 min)
    found = measure(task, np.array([2, 0]), p)  # gold high (1 h) and low
    assert found["late_minutes"] == (24 * 60 - 60) / 2
    assert (found["under_rate"], found["over_rate"]) == (0.5, 0.5)


def test_multi_task_equals_scikit_learn(random: np.random.Generator) -> None:
    task, gold = multi_task(), random.integers(0, 2, size=(ROWS, 3))
    p = np.clip(gold * 0.4 + random.uniform(0, 0.6, size=gold.shape), 0, 1)
    found, given = measure(task, gold, p, calibration=TaskCalibration(mentioned=0.4)), (p >= 0.4).astype(int)
    assert found["micro_f1"] == pytest.approx(f1_score(gold, given, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(gold, given, average="macro"))
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, given))
    assert found["f1.rude"] == pytest.approx(f1_score(gold[:, 1], given[:, 1]))


def test_aspect_f1_counts_pairs_of_category_and_polarity(schema: LabelSchema, random: np.random.Generator) -> None:
    task = schema.task("aspects")
    gold = random.choice(4, p=(0.7, 0.15, 0.05, 0.1), size=(ROWS, 12))
    p = random.dirichlet(np.ones(4), size=gold.shape)
    found = measure(task, gold, p)
    decided = np.where(1 - p[:, :, 0] >= 0.5, p[:, :, 1:].argmax(axis=2) + 1, 0)
    expected = f1_score(gold.ravel(), decided.ravel(), labels=[1, 2, 3], average="micro")
    assert found["f1"] == pytest.approx(expected)
    assert found["mention_f1"] == pytest.approx(f1_score(gold.ravel() > 0, decided.ravel() > 0))
    both = (gold > 0) & (decided > 0)
    assert found["polarity_accuracy"] == pytest.approx((gold == decided)[both].mean())


def test_rows_without_a_label_count_for_nothing(schema: LabelSchema, random: np.random.Generator) -> None:
    for name, k in (("sentiment", 3), ("urgency", 4)):
        task, gold = schema.task(name), random.integers(0, k, size=ROWS)
        p = dirichlet(random, gold, k)
        partly = np.where(np.arange(ROWS) < 150, gold, -1)
        assert measure(task, partly, p) == pytest.approx(measure(task, gold[:150], p[:150]))


def test_ece_is_zero_for_perfect_and_large_for_boastful_probabilities(schema: LabelSchema) -> None:
    task = schema.task("sentiment")
    gold = np.array([0, 1] * 100)
    assert measure(task, gold, np.eye(3)[gold])["ece"] == 0
    boastful = np.tile([0.9, 0.05, 0.05], (200, 1))
    assert measure(task, gold, boastful)["ece"] == pytest.approx(0.4, abs=0.01)


def test_figures_that_mean_nothing_are_absent(schema: LabelSchema) -> None:
    task = schema.task("urgency")
    found = measure(task, np.zeros(5, dtype=np.int64), np.eye(4)[[0] * 5])
    assert "qwk" not in found
    assert "recall.alert" not in found
    assert found["accuracy"] == 1


def test_weights_stand_for_repeated_rows(schema: LabelSchema, random: np.random.Generator) -> None:
    task, gold = schema.task("sentiment"), random.integers(0, 3, size=50)
    p = dirichlet(random, gold, 3)
    taken = random.integers(0, 50, size=50)
    weights = np.bincount(taken, minlength=50)[None].astype(np.float64)
    drawn = row_statistics(task, gold, p).figures(weights)
    repeated = row_statistics(task, gold[taken], p[taken]).figures()
    assert drawn["macro_f1"][0] == pytest.approx(repeated["macro_f1"][0])
    assert drawn["recall.negative"][0] == pytest.approx(repeated["recall.negative"][0])
