"""How many comments came and what grew against the weeks before.

What is listed differs both in how many comments there are a week, which everybody can count over, and in its share of
all comments: in a week with a fifth more comments, a fifth more of everything is no news.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from scipy import stats

from pipeline.errors import DataError
from pipeline.insights.report.shares import Verdict
from pipeline.insights.report.week import Week, data_span
from pipeline.insights.seasons import LEAST_DAYS, DailyCounts, expected_counts
from pipeline.insights.series import Family, Membership, Series
from pipeline.insights.significance import count_tail
from pipeline.insights.table import FeedbackTable
from pipeline.insights.trends import Change, Period, changes, rows_of

_SHOWN = 8
_SHOWN_WORDS = 10
_TOLD = (Family.LABEL, Family.ATTRIBUTE)
_LEVEL_VARIANCE = 0.05  # as in pipeline/insights/alerts.py: the level is known only as well as its days tell
_LEVEL_DAYS = 28


@dataclass(frozen=True, slots=True)
class Volume:
    """Comments a day from `first` on, the last seven days being the week's. `expected`: of the week's days, if told."""

    first: date
    daily: tuple[int, ...]
    now: int
    usual: float | None  # comments that weekday, holiday and level lead to expect of the week
    expected: tuple[float, ...]  # (7,) or ()
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        return {
            "messages": self.now,
            "usual": None if self.usual is None else round(self.usual, 1),
            "verdict": str(self.verdict),
            "first_day": str(self.first),
            "daily": list(self.daily),
        }


@dataclass(frozen=True, slots=True)
class Tally:
    """Comments of the week and of the weeks before it, `before` in all and `usual` a week.

    `low`, `high`: now / usual lies between, at 95 % (Clopper and Pearson 1934, given how many there are in all).
    """

    series: Series
    now: int
    before: int
    usual: float
    share_now: float
    share_before: float
    low: float
    high: float

    @classmethod
    def of(cls, change: Change, weeks: float) -> "Tally":
        now, before = change.now, change.before
        low = float(stats.beta.ppf(0.025, now, before + 1)) if now else 0.0
        high = float(stats.beta.ppf(0.975, now + 1, before)) if before else 1.0
        return cls(
            change.series, now, before, before / weeks, change.share_now, change.share_before,
            low=weeks * low / (1 - low), high=weeks * high / (1 - high) if high < 1 else float("inf"),
        )  # fmt: skip

    @property
    def grew(self) -> bool:
        """Told more often, and by more than all comments are."""
        return self.low > 1 and self.share_now > self.share_before

    @property
    def fell(self) -> bool:
        return self.high < 1 and self.share_now < self.share_before

    def to_dict(self) -> dict[str, Any]:
        return {
            "series": self.series.name,
            "kind": str(self.series.family),
            "now": self.now,
            "before": self.before,
            "usual": round(self.usual, 2),
            "share_now": round(self.share_now, 5),
            "share_before": round(self.share_before, 5),
            "ratio_at_least": round(self.low, 3),
            "ratio_at_most": None if np.isinf(self.high) else round(self.high, 3),
        }


@dataclass(frozen=True, slots=True)
class Growth:
    """`grew`, `fell`: certain changes of labels and attributes, the surest to be large first; `words`: that grew.

    `base_days`: days of the base line that lie within the data; with fewer than seven nothing is compared.
    """

    volume: Volume
    base_days: int
    base_messages: int
    grew: tuple[Tally, ...]
    fell: tuple[Tally, ...]
    words: tuple[Tally, ...]

    @property
    def comparable(self) -> bool:
        return self.base_days >= 7 and self.base_messages > 0

    @property
    def usual(self) -> float | None:
        """All comments a week before, None where there is less than a week."""
        return self.base_messages * 7 / self.base_days if self.base_days >= 7 else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "volume": self.volume.to_dict(),
            "base_days": self.base_days,
            "base_messages": self.base_messages,
            "usual": None if self.usual is None else round(self.usual, 2),
        } | {name: [tally.to_dict() for tally in getattr(self, name)] for name in ("grew", "fell", "words")}


def find_growth(table: FeedbackTable, recent: FeedbackTable, members: Membership, week: Week) -> Growth:
    """`table`: the whole; `recent`, `members`: the week and those that it is compared with."""
    began = data_span(table.days).period.first
    base = Period(max(began, week.base.first), week.base.last)
    base_days = max((base.last - base.first).days + 1, 0)
    found: list[Tally] = []
    if base_days >= 7:
        certain = [change for change in changes(recent, members, base, week.period) if change.certain]
        found = [Tally.of(change, base_days / 7) for change in certain]
    grew = sorted((tally for tally in found if tally.grew), key=lambda one: (-one.low, one.series.name))
    fell = sorted((tally for tally in found if tally.fell), key=lambda one: (one.high, one.series.name))
    return Growth(
        volume=_volume(table, week, began),
        base_days=base_days,
        base_messages=int(rows_of(table.days, base).sum()),
        grew=_once([tally for tally in grew if tally.series.family in _TOLD]),
        fell=_once([tally for tally in fell if tally.series.family in _TOLD]),
        words=tuple(_distinct([tally for tally in grew if _is_word(tally)])[:_SHOWN_WORDS]),
    )


def _is_word(tally: Tally) -> bool:
    """One character alone (冒, 热) says little to somebody who does not see the comment."""
    return tally.series.family is Family.TERM and len(tally.series.name) > 1


def _once(tallies: list[Tally]) -> tuple[Tally, ...]:
    """A category and the blame of the aspect of its name are one matter: the first of them is told."""
    kept: dict[str, Tally] = {}
    for tally in tallies:
        name, value = tally.series.parts[0]
        about = value if name == "category" else name.removeprefix("aspect ") if name.startswith("aspect ") else ""
        kept.setdefault(about or f"{name}={value}", tally)
    return tuple(kept.values())[:_SHOWN]


def _distinct(words: list[Tally]) -> list[Tally]:
    kept: list[Tally] = []
    for tally in words:
        name = tally.series.name
        if not any(name in other.series.name or other.series.name in name for other in kept):
            kept.append(tally)
    return kept


def _volume(table: FeedbackTable, week: Week, began: date) -> Volume:
    first = min(max(began, week.history.first), week.first)
    counts = _daily(table, first, week.last)
    now = int(counts[-7:].sum())
    before = DailyCounts(first, counts[:-7])
    try:
        if len(before) < LEAST_DAYS:
            raise DataError("too_few_days", f"expected {LEAST_DAYS} days; found {len(before)}")
        expected, dispersion = expected_counts(before, ahead=7)
    except DataError:  # told as an unknown base line
        return Volume(first, tuple(counts.astype(int).tolist()), now, None, (), Verdict.UNKNOWN)
    ahead = expected[len(before) :]
    mean = np.array([float(ahead.sum())])
    variance = dispersion * mean + _LEVEL_VARIANCE * mean**2 / min(len(before), _LEVEL_DAYS)
    many = float(count_tail(np.array([float(now)]), mean, variance)[0])
    few = 1 - float(count_tail(np.array([now + 1.0]), mean, variance)[0])
    verdict = Verdict.MORE if many <= 0.025 else Verdict.FEWER if few <= 0.025 else Verdict.SAME
    return Volume(first, tuple(counts.astype(int).tolist()), now, float(mean[0]), tuple(ahead.tolist()), verdict)


def _daily(table: FeedbackTable, first: date, last: date) -> Any:
    days = table.days[rows_of(table.days, Period(first, last))]
    place = (days - np.datetime64(first)).astype(np.int64)
    return np.bincount(place, minlength=(last - first + timedelta(days=1)).days).astype(np.float64)
