"""How hot an issue is: volume, growth, negativity, urgency and votes, each from 0 to 1, weighed into 0 to 100."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.insights.table import FeedbackTable, Ints

_RECENT = np.timedelta64(7, "D")


@dataclass(frozen=True, slots=True)
class HotnessWeights:
    """What counts how much; only their proportions matter."""

    volume: float = 0.4
    growth: float = 0.15
    negativity: float = 0.15
    urgency: float = 0.1
    votes: float = 0.2


@dataclass(frozen=True, slots=True)
class Hotness:
    """`score` 0 to 100; the others 0 to 1, relative to the largest of the issues compared for volume and votes."""

    score: float
    volume: float
    growth: float
    negativity: float
    urgency: float
    votes: float


def hotness(table: FeedbackTable, issues: Sequence[Ints], weights: HotnessWeights | None = None) -> list[Hotness]:
    """Of each issue, given as rows of the table. Where nobody voted, or no row has a time, the others decide alone."""
    if not issues:
        return []
    weighing = asdict(weights or HotnessWeights())
    volume = np.array([len(rows) for rows in issues], dtype=float)
    votes = np.array([float(table.votes[rows].sum()) for rows in issues])
    parts = {
        "volume": np.log1p(volume) / np.log1p(volume.max()),
        "growth": np.array([growth(table, rows) for rows in issues]),
        "negativity": np.array([float(table.negative[rows].mean()) for rows in issues]),
        "urgency": np.array([float(table.urgent[rows].mean()) for rows in issues]),
        "votes": np.log1p(votes) / np.log1p(votes.max()) if votes.max() > 0 else np.zeros(len(issues)),
    }
    if not votes.max() > 0:
        weighing["votes"] = 0.0
    if np.isnat(table.times).all():
        weighing["growth"] = 0.0
    total = sum(weighing.values()) or 1.0
    score = 100 * sum(weighing[name] * part for name, part in parts.items()) / total
    return [
        Hotness(float(score[i]), **{name: float(part[i]) for name, part in parts.items()}) for i in range(len(issues))
    ]


def growth(table: FeedbackTable, rows: Ints) -> float:
    """0 to 1: how the last seven days of the table compare with the issue's earlier rate; 0.5 where they are equal."""
    known = table.known_days
    if not len(known):
        return 0.0
    since = known.max() - _RECENT + 1
    days = table.days[rows]
    recent = int((days >= since).sum())
    earlier = int((days < since).sum())
    weeks = max(float((since - known.min()) / _RECENT), 1.0)
    return float((recent + 0.5) / (recent + earlier / weeks + 1.0))
