"""How satisfied customers are: estimated from the labels, beside surveys where the file has any, and by SERVQUAL.

All on a scale from 0 to 100. An answer to a survey is mapped linearly: NPS 0 to 10, CSAT 1 to 5, CES 1 to 7 (or the
scale that the answers show). Net promoters: the share of 9 and 10 less that of 0 to 6 (Reichheld 2003).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.insights.report.settings import Dimension
from pipeline.insights.report.shares import LEAST_COMPARED, Share, Verdict
from pipeline.insights.report.week import Week
from pipeline.insights.table import NOT_MENTIONED, FeedbackTable, Mask
from pipeline.insights.trends import Period, rows_of

LEAST_SCORED = 10
"""Comments or answers, below which no score is told: one more would move the mean by up to ten points."""

_Z = 1.96
_LEAST_PAIRS = 30  # comments with a survey's answer, from which it is told how the estimate agrees
_SCALES = {"nps": ((0.0, 10.0),), "csat": ((1.0, 5.0), (0.0, 10.0), (0.0, 100.0)), "ces": ((1.0, 7.0), (0.0, 10.0))}
"""Survey -> its scales, the usual one first; that is taken which holds every answer."""


@dataclass(frozen=True, slots=True)
class Score:
    """A mean from 0 to 100 of `count` comments. `margin`: half the width of its 95 % interval."""

    mean: float
    margin: float
    count: int

    @property
    def enough(self) -> bool:
        """Whether there are comments enough to tell a mean by."""
        return self.count >= LEAST_SCORED

    def to_dict(self) -> dict[str, Any]:
        return {"mean": round(self.mean, 2), "margin": round(self.margin, 2), "count": self.count}


@dataclass(frozen=True, slots=True)
class Compared:
    """This week's score and that of the weeks before; either is None where nothing was said."""

    now: Score | None
    before: Score | None

    @property
    def verdict(self) -> Verdict:
        """Whether the difference is larger than chance makes it (95 %)."""
        if self.now is None or self.before is None or min(self.now.count, self.before.count) < LEAST_COMPARED:
            return Verdict.UNKNOWN
        gap = self.now.mean - self.before.mean
        if abs(gap) <= float(np.hypot(self.now.margin, self.before.margin)):
            return Verdict.SAME
        return Verdict.MORE if gap > 0 else Verdict.FEWER

    def to_dict(self) -> dict[str, Any]:
        return {
            "now": None if self.now is None else self.now.to_dict(),
            "before": None if self.before is None else self.before.to_dict(),
            "verdict": str(self.verdict),
        }


@dataclass(frozen=True, slots=True)
class Survey:
    """Answers to a survey. `scale`: lowest and highest answer; `net`: of NPS, promoters less detractors, -100 to 100.

    `agreement`: rank correlation with the estimate over comments that have both, where there are 30.
    """

    name: str
    scale: tuple[float, float]
    score: Compared
    net: float | None
    left_out: int  # answers outside the scale
    agreement: float | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "survey": self.name,
            "scale": list(self.scale),
            "score": self.score.to_dict(),
            "net_promoters": None if self.net is None else round(self.net, 1),
            "left_out": self.left_out,
            "agreement": None if self.agreement is None else round(self.agreement, 3),
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """A dimension of SERVQUAL as comments tell it: what share of those that speak of it praise it, and blame it."""

    dimension: Dimension
    score: Compared
    praised: Share
    blamed: Share

    def to_dict(self) -> dict[str, Any]:
        return {
            "dimension": self.dimension.key,
            "score": self.score.to_dict(),
            "praised": self.praised.to_dict(),
            "blamed": self.blamed.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Satisfaction:
    """`by`: "satisfaction" or "sentiment", whichever the estimate is made from; None where the file has neither.

    `weekly`: (week's Monday as ISO text, mean) of the weeks that the file holds, at most nine. `by_aspects`: whether
    the dimensions follow from aspects; False: from category and sentiment; None: from nothing.
    """

    by: str | None
    estimate: Compared
    weekly: tuple[tuple[str, float], ...]
    surveys: tuple[Survey, ...]
    qualities: tuple[Quality, ...]
    by_aspects: bool | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "estimate": self.estimate.to_dict(),
            "weekly": [[first, round(mean, 2)] for first, mean in self.weekly],
            "surveys": [survey.to_dict() for survey in self.surveys],
            "servqual": [quality.to_dict() for quality in self.qualities],
        }


def find_satisfaction(table: FeedbackTable, week: Week, dimensions: Sequence[Dimension]) -> Satisfaction:
    """Of the week against the weeks before."""
    by, values = _estimate(table)
    polarity_by = _polarity_source(table)
    surveys = [
        survey
        for name in _SCALES
        if name in table.numbers
        if (survey := _survey(table, name, values, week)) is not None
    ]
    qualities = [_quality(table, dimension, week) for dimension in dimensions] if polarity_by is not None else []
    return Satisfaction(
        by, _compared(table, values, week), _weekly(table, values, week), tuple(surveys), tuple(qualities), polarity_by
    )


def _estimate(table: FeedbackTable) -> tuple[str | None, Any]:
    """(n,) from 0 to 100, NaN where unknown."""
    if "satisfaction" in table.numbers:
        return "satisfaction", (table.numbers["satisfaction"].astype(np.float64) - 1) / 4 * 100
    found = np.full(len(table), np.nan)
    if "sentiment" not in table.labels:
        return None, found
    for label, value in (("negative", 0.0), ("neutral", 50.0), ("positive", 100.0)):
        found[table.labels["sentiment"].is_value(label)] = value
    return "sentiment", found


def _score(values: Any) -> Score | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    spread = float(known.std(ddof=1)) if len(known) > 1 else 50.0
    return Score(float(known.mean()), _Z * spread / float(np.sqrt(len(known))), len(known))


def _compared(table: FeedbackTable, values: Any, week: Week) -> Compared:
    return Compared(
        _score(values[rows_of(table.days, week.period)]),
        _score(values[rows_of(table.days, week.base)]),
    )


def _weekly(table: FeedbackTable, values: Any, week: Week) -> tuple[tuple[str, float], ...]:
    found = []
    day = week.history.first
    while day <= week.first:
        of = Week(day)
        score = _score(values[rows_of(table.days, of.period)])
        if score is not None and score.count >= LEAST_COMPARED:
            found.append((str(of.first), score.mean))
        day = of.after().first
    return tuple(found)


def _survey(table: FeedbackTable, name: str, estimate: Any, week: Week) -> Survey | None:
    answers = table.numbers[name].astype(np.float64)
    given = answers[np.isfinite(answers)]
    if not len(given):
        return None
    usual = _SCALES[name][0]
    low, high = next((s for s in _SCALES[name] if s[0] <= given.min() and given.max() <= s[1]), usual)
    inside = np.isfinite(answers) & (answers >= low) & (answers <= high)
    values = np.where(inside, (answers - low) / (high - low) * 100, np.nan)
    of_week = inside & rows_of(table.days, week.period)
    net = None
    if name == "nps" and of_week.any():
        net = float((answers[of_week] >= 9).mean() - (answers[of_week] <= 6).mean()) * 100
    both = inside & np.isfinite(estimate) & rows_of(table.days, Period(week.base.first, week.last))
    return Survey(
        name, (low, high), _compared(table, values, week), net, int(len(given) - inside.sum()),
        _agreement(answers[both], estimate[both]),
    )  # fmt: skip


def _agreement(answers: Any, estimate: Any) -> float | None:
    from scipy import stats

    if len(answers) < _LEAST_PAIRS or np.ptp(answers) == 0 or np.ptp(estimate) == 0:
        return None
    return float(stats.spearmanr(answers, estimate).statistic)


def _polarity_source(table: FeedbackTable) -> bool | None:
    if table.aspects is not None:
        return True
    return False if "category" in table.labels and "sentiment" in table.labels else None


def _quality(table: FeedbackTable, dimension: Dimension, week: Week) -> Quality:
    praised, neutral, blamed = _polarities(table, dimension.aspects)
    if dimension.words:
        held = np.fromiter(
            (any(word in text for word in dimension.words) for text in table.texts), np.bool_, len(table)
        )
        praised, neutral, blamed = praised & held, neutral & held, blamed & held
    values = np.full(len(table), np.nan)
    # Who praises one aspect of a dimension and blames another stands in the middle.
    values[neutral | (praised & blamed)] = 50.0
    values[praised & ~blamed] = 100.0
    values[blamed & ~praised] = 0.0
    of_week = rows_of(table.days, week.period) & np.isfinite(values)
    count = int(of_week.sum())
    return Quality(
        dimension, _compared(table, values, week),
        Share(int((praised & of_week).sum()), count), Share(int((blamed & of_week).sum()), count),
    )  # fmt: skip


def _polarities(table: FeedbackTable, keys: Sequence[str]) -> tuple[Mask, Mask, Mask]:
    """(n,) praised, neither, blamed in one of the aspects."""
    if table.aspects is not None:
        at = [table.aspects.keys.index(key) for key in keys if key in table.aspects.keys]
        cells = table.aspects.polarity[:, at]
        return (
            (cells == 1).any(axis=1),
            ((cells != NOT_MENTIONED) & (cells == 0)).any(axis=1),
            (cells == -1).any(axis=1),
        )
    about = np.zeros(len(table), dtype=np.bool_)
    for key in keys:
        about |= table.labels["category"].is_value(key)
    sentiment = table.labels["sentiment"]
    return (
        about & sentiment.is_value("positive"),
        about & sentiment.is_value("neutral"),
        about & sentiment.is_value("negative"),
    )
