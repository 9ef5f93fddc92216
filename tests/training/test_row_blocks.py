"""Numbers a row."""

import numpy as np

from models.calibration import TaskCalibration
from pipeline.schema import LabelSchema
from training.columns import decide
from training.row_blocks import equal_mass_bins, row_blocks


def test_equal_mass_bins_hold_equal_counts_in_order() -> None:
    values = np.array([0.9, 0.1, 0.5, 0.7])
    assert equal_mass_bins(values, 2).tolist() == [1, 0, 0, 1]


def test_equal_values_are_shared_out_evenly() -> None:
    assert np.bincount(equal_mass_bins(np.zeros(100), 10)).tolist() == [10] * 10


def test_an_unlabelled_row_is_zero_everywhere(schema: LabelSchema) -> None:
    for name, gold, shape in (
        ("sentiment", np.array([0, -1]), (2, 3)),
        ("urgency", np.array([3, -1]), (2, 4)),
        ("aspects", np.vstack([np.ones(12, dtype=np.int64), np.full(12, -1)]), (2, 12, 4)),
    ):
        task, p = schema.task(name), np.full(shape, 1 / shape[-1])
        blocks = row_blocks(task, gold, decide(task, p, TaskCalibration()), p)
        assert all(np.isfinite(block).all() and not block[1].any() for block in blocks.values())
        assert blocks["rows"].tolist() == [[1], [0]]
