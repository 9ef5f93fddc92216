"""Two models side by side."""

from typing import Any

import pytest

from pipeline.errors import DataError
from pipeline.schema import LabelSchema, schema_from_dict
from training.bootstrap import Difference
from training.compare import Comparison, compare, lower_is_better


def test_the_more_skilled_model_is_found_better(make_scored: Any) -> None:
    found = compare(make_scored(skill=1.0, version="old@1"), make_scored(skill=3.0, seed=1, version="new@2"))
    assert (found.reference, found.candidate, found.rows) == ("old@1", "new@2", 300)
    assert found.headlines == ("sentiment/macro_f1", "category/macro_f1", "aspects/f1", "urgency/qwk")
    assert {found.verdict(name) for name in found.headlines} == {"better"}
    assert found.verdict("urgency/mae") == "better"
    assert found.differences["urgency/mae"].value < 0


def test_equally_skilled_models_are_even(make_scored: Any) -> None:
    found = compare(make_scored(skill=2.0, seed=1), make_scored(skill=2.0, seed=2))
    assert found.verdict("sentiment/macro_f1") == "even"


@pytest.mark.parametrize(
    ("name", "low", "high", "verdict"),
    [
        ("urgency/qwk", 0.01, 0.05, "better"),
        ("urgency/qwk", -0.05, -0.01, "worse"),
        ("urgency/mae", -0.05, -0.01, "better"),
        ("urgency/mae", 0.01, 0.05, "worse"),
        ("urgency/mae", -0.01, 0.05, "even"),
    ],
)
def test_verdict_needs_an_interval_without_zero(name: str, low: float, high: float, verdict: str) -> None:
    difference = Difference(0.5, 0.5 + (low + high) / 2, low, high)
    assert Comparison("a", "b", 10, {name: difference}, (name,)).verdict(name) == verdict


def test_other_rows_are_refused(make_scored: Any) -> None:
    with pytest.raises(DataError) as caught:
        compare(make_scored(rows=100), make_scored(rows=90))
    assert caught.value.message == "expected both models scored on the same rows; score them on one file"


def test_tasks_with_other_labels_are_skipped(make_scored: Any, schema: LabelSchema) -> None:
    tasks = schema.to_dict()["tasks"]
    tasks["sentiment"]["labels"].pop()
    smaller = schema_from_dict({"tasks": {name: tasks[name] for name in ("sentiment", "urgency")}})
    found = compare(make_scored(), make_scored(labels=smaller))
    assert found.skipped == ("sentiment",)
    assert found.headlines == ("urgency/qwk",)


def test_models_without_a_common_task_are_refused(make_scored: Any) -> None:
    other = schema_from_dict({"tasks": {"intent": {"kind": "single", "labels": ["ask", "buy"]}}})
    with pytest.raises(DataError) as caught:
        compare(make_scored(version="a@1"), make_scored(labels=other, version="b@2"))
    assert caught.value.message == "a@1 and b@2 have no task with the same labels in common"


def test_errors_are_better_low() -> None:
    assert lower_is_better("urgency/mae")
    assert lower_is_better("ece")
    assert lower_is_better("urgency/aurc")
    assert not lower_is_better("urgency/recall.alert")
