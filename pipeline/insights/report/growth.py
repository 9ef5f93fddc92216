"""How many comments came and what grew, against what the weeks before lead to expect."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.insights.report.shares import Verdict
from pipeline.insights.report.week import Week
from pipeline.insights.seasons import LEAST_DAYS, DailyCounts, expected_counts
from pipeline.insights.series import Family, Membership
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
class Growth:
    """`grew`, `fell`: certain changes of labels and attributes, the largest first; `words`: that grew.

    `base_days`: days of the base line that lie within the data; with fewer than seven nothing is compared.
    """

    volume: Volume
    base_days: int
    base_messages: int
    grew: tuple[Change, ...]
    fell: tuple[Change, ...]
    words: tuple[Change, ...]

    @property
    def comparable(self) -> bool:
        return self.base_days >= 7 and self.base_messages > 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "volume": self.volume.to_dict(),
            "base_days": self.base_days,
            "base_messages": self.base_messages,
        } | {name: [change.to_dict() for change in getattr(self, name)] for name in ("grew", "fell", "words")}


def find_growth(table: FeedbackTable, recent: FeedbackTable, members: Membership, week: Week) -> Growth:
    """`table`: the whole; `recent`, `members`: the week and those that it is compared with."""
    known = table.known_days
    began = known.min().astype(object)
    base = Period(max(began, week.base.first), week.base.last)
    base_days = max((base.last - base.first).days + 1, 0)
    found: list[Change] = []
    if base_days >= 7:
        found = [change for change in changes(recent, members, base, week.period) if change.certain]
    told = [change for change in found if change.series.family in _TOLD]
    words = [change for change in found if _is_word(change) and change.ratio > 1]
    return Growth(
        volume=_volume(table, week, began),
        base_days=base_days,
        base_messages=int(rows_of(table.days, base).sum()),
        grew=_once(sorted((change for change in told if change.ratio > 1), key=_surplus, reverse=True)),
        fell=_once(sorted((change for change in told if change.ratio < 1), key=_surplus)),
        words=tuple(_distinct(sorted(words, key=_surplus, reverse=True))[:_SHOWN_WORDS]),
    )


def usual_count(change: Change) -> float:
    """How many comments the week would have had at the share of before."""
    return change.share_before * change.now / change.share_now if change.share_now else float(change.before)


def _is_word(change: Change) -> bool:
    """One character alone (冒, 热) says little to somebody who does not see the comment."""
    return change.series.family is Family.TERM and len(change.series.name) > 1


def _surplus(change: Change) -> tuple[float, str]:
    """What people feel is how many more there are; a ratio of 9 may be 9 comments."""
    return change.now - usual_count(change), change.series.name


def _once(changes: list[Change]) -> tuple[Change, ...]:
    """A category and the blame of the aspect of its name are one matter: the first of them is told."""
    kept: dict[str, Change] = {}
    for change in changes:
        name, value = change.series.parts[0]
        about = value if name == "category" else name.removeprefix("aspect ") if name.startswith("aspect ") else ""
        kept.setdefault(about or f"{name}={value}", change)
    return tuple(kept.values())[:_SHOWN]


def _distinct(words: list[Change]) -> list[Change]:
    kept: list[Change] = []
    for change in words:
        name = change.series.name
        if not any(name in other.series.name or other.series.name in name for other in kept):
            kept.append(change)
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
