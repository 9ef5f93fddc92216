"""Recall of grave rows against the share that is flagged, on numbers that can be checked by hand."""

import numpy as np
import pytest

from pipeline.schema import LabelSchema
from training.alert_curve import alert_curve


def levels(alert: float) -> list[float]:
    """Probabilities of the four levels with this much on high and critical together."""
    return [(1 - alert) / 2, (1 - alert) / 2, alert / 2, alert / 2]


def test_the_surest_are_flagged_first(schema: LabelSchema) -> None:
    gold = np.array([3, 0, 2, 1, -1])
    p = np.array([levels(a) for a in (0.9, 0.8, 0.3, 0.1, 0.95)])
    curve = alert_curve(schema.task("urgency"), gold, p)
    assert curve is not None
    assert (curve.rows, curve.alerts) == (4, 2)  # the row without a label counts for nothing
    assert curve.flagged.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert curve.recall.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert curve.recall_at(0.25) == 0.5
    assert curve.recall_at(0.625) == pytest.approx(0.75)
    assert curve.share_for(0.5) == 0.25
    assert curve.share_for(1.0) == 0.75


def test_there_is_none_without_grave_rows_or_marked_labels(schema: LabelSchema) -> None:
    p = np.array([levels(0.2)] * 3)
    assert alert_curve(schema.task("urgency"), np.array([0, 1, 1]), p) is None
    assert alert_curve(schema.task("sentiment"), np.array([0, 1, 2]), p[:, :3]) is None
