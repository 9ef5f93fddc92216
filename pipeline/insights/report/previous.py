"""Last week's list: what stood on it, read from that report's JSON, and what became of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DataError, UsageError
from pipeline.insights.report.shares import Share, Verdict, difference, verdict
from pipeline.insights.report.signs import Signs, plain
from pipeline.insights.report.week import Week, parse_week
from pipeline.insights.significance import adjusted
from pipeline.insights.table import FeedbackTable
from pipeline.insights.trends import rows_of

KIND = "fankui weekly report"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of a week's list. `share`: the week's comments that `signs` find; `usual`: a week before that."""

    title: str
    within_48h: bool
    desk: str | None
    signs: Signs
    share: Share
    usual: float | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "within_48h": self.within_48h,
            "desk": self.desk,
            "signs": self.signs.to_dict(),
            "share": self.share.to_dict(),
            "usual": None if self.usual is None else round(self.usual, 2),
        }


@dataclass(frozen=True, slots=True)
class Earlier:
    """A report of an earlier week, as far as the next one needs it."""

    week: Week
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item. `then` and `now`: by the same signs."""

    item: Item
    then: Share
    now: Share
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.item.title,
            "then": self.then.to_dict(),
            "now": self.now.to_dict(),
            "verdict": str(self.verdict),
        }


@dataclass(frozen=True, slots=True)
class FollowUp:
    """`recounted`: whether the earlier week is in the file too, so that both were counted from the same comments."""

    week: Week
    outcomes: tuple[Outcome, ...]
    recounted: bool

    def count(self, verdict: Verdict) -> int:
        return sum(outcome.verdict is verdict for outcome in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        return {
            "week": str(self.week),
            "recounted": self.recounted,
            "items": [outcome.to_dict() for outcome in self.outcomes],
        }


def read_earlier(path: Path) -> Earlier:
    """From a report's JSON. Raises DataError `previous_missing`, `previous_unreadable`."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["kind"] != KIND or body["version"] != VERSION:
            raise ValueError("another kind of file")
        return Earlier(parse_week(body["week"]), tuple(_item(item) for item in body["list"]))
    except FileNotFoundError:
        message = f"{path} does not exist; name the JSON that last week's report left beside its page"
        raise DataError("previous_missing", message) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError, RecursionError):
        message = f"{path} is no JSON that `fankui insights report` left beside its page; name another one"
        raise DataError("previous_unreadable", message) from None


def _item(body: Mapping[str, Any]) -> Item:
    usual, desk, share = body["usual"], body["desk"], Share(int(body["share"]["count"]), int(body["share"]["of"]))
    if not 0 <= share.count <= share.of:
        raise ValueError("no share")
    return Item(
        title=str(body["title"]),
        within_48h=bool(body["within_48h"]),
        desk=None if desk is None else str(desk),
        signs=Signs.from_dict(body["signs"]),
        share=share,
        usual=None if usual is None else float(usual),
    )


def follow_up(table: FeedbackTable, week: Week, earlier: Earlier) -> FollowUp:
    """This week against that one, item by item. Raises UsageError `previous_not_before`."""
    if earlier.week >= week:
        raise UsageError(
            "previous_not_before",
            f"--previous is of {earlier.week}, which is not before {week}; name the report of a week before",
        )
    now, then = (plain(_texts(table, one)) for one in (week, earlier.week))
    pairs = []
    for item in earlier.items:
        before = Share(int(item.signs.found(then).sum()), len(then)) if then else item.share
        pairs.append((item, before, Share(int(item.signs.found(now).sum()), len(now))))
    p_values = _p_values([(now_, before) for _, before, now_ in pairs])
    outcomes = [
        Outcome(item, before, now_, verdict(now_, before, p))
        for (item, before, now_), p in zip(pairs, p_values, strict=True)
    ]
    return FollowUp(earlier.week, tuple(outcomes), bool(then))


def _p_values(pairs: Sequence[tuple[Share, Share]]) -> list[float]:
    """Adjusted for how many items there are."""
    return [float(p) for p in adjusted(np.array([difference(now, before) for now, before in pairs]))]


def _texts(table: FeedbackTable, week: Week) -> list[str]:
    return [table.texts[i] for i in np.flatnonzero(rows_of(table.days, week.period))]
