"""How many of the grave comments are found when a share of the stream is flagged: the surest alerts first.

A desk chooses the share that it can read; the curve says what that share finds.
"""

from dataclasses import dataclass

import numpy as np

from models.decide import alert_score, has_alerts
from pipeline.schema import Task
from training.columns import Floats, Labels, labeled


@dataclass(frozen=True)
class AlertCurve:
    """`recall[i]` of the rows with a label marked `alert` are among the `flagged[i]` share with the highest score."""

    flagged: Floats  # (points,) 0 to 1, rising
    recall: Floats  # (points,)
    alerts: int  # gold rows marked `alert`
    rows: int

    def recall_at(self, share: float) -> float:
        """Recall when this share of the rows is flagged."""
        return float(np.interp(share, self.flagged, self.recall))

    def share_for(self, recall: float) -> float:
        """The least share of the rows that must be flagged for this recall."""
        return float(self.flagged[int(np.argmax(self.recall >= recall - 1e-12))])


def alert_curve(task: Task, gold: Labels, p: Floats) -> AlertCurve | None:
    """The curve of an ordinal task, or None where no label is marked or no row has one. `p`: (n, k)"""
    if not has_alerts(task):
        return None
    known = labeled(gold)
    grave = np.array([label.alert for label in task.labels])[gold[known]]
    if not grave.any():
        return None
    order = np.argsort(-alert_score(task, p[known]), kind="stable")
    found = np.concatenate([[0.0], np.cumsum(grave[order]) / grave.sum()])
    rows = len(grave)
    points = np.unique(np.round(np.linspace(0, rows, min(rows, 200) + 1)).astype(int))
    return AlertCurve(points / rows, found[points], int(grave.sum()), rows)
