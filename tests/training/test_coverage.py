"""Thresholds for a wanted precision."""

import numpy as np
import pytest

from models.calibration import TaskCalibration
from pipeline.schema import LabelSchema
from training.columns import decide
from training.coverage import NEVER, Coverage, coverage, zones


def curve(confidence: list[float], right: list[int]) -> Coverage:
    count = np.arange(1, len(right) + 1)
    return Coverage(np.array(confidence), count / len(right), np.cumsum(right) / count)


def test_threshold_takes_as_many_answers_as_the_precision_allows() -> None:
    confidence = [0.99 - 0.01 * i for i in range(40)]
    right = [1] * 30 + [0] * 10
    found = curve(confidence, right)
    threshold = found.threshold(0.9)
    # 30 right of 32 taken, with one mistake added: 30 / 33 = 0.909; one more would be 30 / 34 = 0.88.
    assert threshold == pytest.approx(confidence[31])
    assert found.at(threshold) == {"coverage": pytest.approx(0.8), "precision": pytest.approx(30 / 32)}


def test_eight_right_answers_do_not_prove_ninety_per_cent() -> None:
    assert curve([0.9 - 0.01 * i for i in range(8)], [1] * 8).threshold(0.9) == NEVER
    assert curve([0.9 - 0.01 * i for i in range(9)], [1] * 9).threshold(0.9) == pytest.approx(0.82)


def test_equal_confidences_are_taken_together() -> None:
    assert curve([0.8] * 20, [1] * 15 + [0] * 5).threshold(0.9) == NEVER


def test_an_unreached_threshold_covers_nothing() -> None:
    found = curve([0.6, 0.5], [1, 0])
    assert zones(found, TaskCalibration(auto=NEVER, suggest=0.6)) == {
        "auto_coverage": 0.0,
        "suggest_coverage": 0.5,
        "suggest_precision": 1.0,
    }


def test_no_answers_give_no_threshold() -> None:
    assert curve([], []).threshold(0.9) == NEVER


def test_aspects_are_counted_by_category_given(schema: LabelSchema) -> None:
    task = schema.task("aspects")
    gold = np.zeros((2, 12), dtype=np.int64)
    gold[0, 3] = 1  # logistics, negative
    p = np.zeros((2, 12, 4))
    p[:, :, 0] = 1.0
    p[0, 3] = [0.1, 0.9, 0.0, 0.0]
    p[1, 4] = [0.4, 0.0, 0.0, 0.6]  # price, which gold does not have
    found = coverage(task, gold, decide(task, p, TaskCalibration()))
    assert found.confidence.tolist() == [0.9, 0.6]
    assert found.precision.tolist() == [1.0, 0.5]
    assert found.area_under_risk == 0.25
