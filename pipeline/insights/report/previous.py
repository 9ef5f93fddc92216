"""Last week's list: what stood on it, read from that report's JSON, and what became of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DataError, UsageError
from pipeline.insights.report.growing import OVERLAP
from pipeline.insights.report.shares import Share, Verdict, difference, verdict
from pipeline.insights.report.signs import Signs, plain
from pipeline.insights.report.week import Week, parse_week
from pipeline.insights.significance import adjusted
from pipeline.insights.table import FeedbackTable, Mask
from pipeline.insights.trends import Period, rows_of

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


class Result(StrEnum):
    """What became of an item."""

    FEWER = "fewer"
    MORE = "more"
    HIGH = "high"  # no certain change, and clearly above the weeks before the list
    USUAL = "usual"  # no certain change, nor clearly above these weeks
    SAME = "same"  # no certain change, and nothing is known of these weeks
    UNKNOWN = "unknown"  # too few to tell


@dataclass(frozen=True, slots=True)
class Outcome:
    """`then`, `now`, `usual` (a week before then): by the same signs.

    `joined`: the item is one of this week's issues, whose signs all three are counted by, so that one matter has one
    number in a report.
    """

    item: Item
    then: Share
    now: Share
    usual: float | None
    result: Result
    joined: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.item.title,
            "then": self.then.to_dict(),
            "now": self.now.to_dict(),
            "usual": None if self.usual is None else round(self.usual, 2),
            "result": str(self.result),
            "issue_of_this_week": self.joined,
        }


@dataclass(frozen=True, slots=True)
class FollowUp:
    """`recounted`: whether the earlier week is in the file too, so that both were counted from the same comments."""

    week: Week
    outcomes: tuple[Outcome, ...]
    recounted: bool

    def count(self, result: Result) -> int:
        return sum(outcome.result is result for outcome in self.outcomes)

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


def follow_up(
    table: FeedbackTable, week: Week, earlier: Earlier, issues: Sequence[tuple[Signs, Sequence[str]]]
) -> FollowUp:
    """This week against that one, item by item. `issues`: signs and ids of this week's, the hottest first.

    Raises UsageError `previous_not_before`.
    """
    check_before(week, earlier)
    now, then, usual = (_told(table, period) for period in (week.period, earlier.week.period, earlier.week.base))
    weeks = _weeks(table, earlier.week)
    known = table.known_days
    recounted = bool(then[1] and known.min() <= np.datetime64(earlier.week.first))
    found = []
    for item in earlier.items:
        own = item.signs.found(now[1])
        other = _same(own, now[0], issues) if recounted else None
        now_, then_ = (_share(other or item.signs, part[1]) for part in (now, then))
        usual_ = _share(other or item.signs, usual[1]) if weeks else None
        # Signs are chosen in the one week or the other and do best there: both have to tell a change.
        p_value = difference(now_, then_ if recounted else item.share)
        if other is not None:
            p_value = max(p_value, difference(_share(item.signs, now[1]), _share(item.signs, then[1])))
        found.append((item, then_ if recounted else item.share, now_, usual_, p_value, other is not None))
    p_values = adjusted(np.array([p_value for *_, p_value, _ in found]))
    outcomes = [
        Outcome(
            item, before, now_, item.usual if usual_ is None else usual_.count / weeks,
            _result(verdict(now_, before, float(p)), now_, usual_), joined,
        )
        for (item, before, now_, usual_, _, joined), p in zip(found, p_values, strict=True)
    ]  # fmt: skip
    return FollowUp(earlier.week, tuple(outcomes), recounted)


def check_before(week: Week, earlier: Earlier) -> None:
    """Raises UsageError `previous_not_before`."""
    if earlier.week >= week:
        raise UsageError(
            "previous_not_before",
            f"--previous is of {earlier.week}, which is not before {week}; name the report of a week before",
        )


def _same(own: Mask, ids: Sequence[str], issues: Sequence[tuple[Signs, Sequence[str]]]) -> Signs | None:
    """Signs of the first issue that tells mostly of the same comments as the item. `own`: (n,) those of the item."""
    held = {ids[i] for i in np.flatnonzero(own).tolist()}
    for signs, told in issues:
        if held and len(held & set(told)) >= OVERLAP * max(len(held), len(told)):
            return signs
    return None


def _result(found: Verdict, now: Share, usual: Share | None) -> Result:
    if found is not Verdict.SAME:
        return Result(str(found))
    if usual is None or not usual.of:
        return Result.SAME
    return Result.HIGH if verdict(now, usual, difference(now, usual)) is Verdict.MORE else Result.USUAL


def _weeks(table: FeedbackTable, week: Week) -> float:
    """How many weeks of a week's base line lie within the data, 0 where that is less than one."""
    began = max(table.known_days.min(), np.datetime64(week.base.first))
    weeks = int((np.datetime64(week.first) - began).astype(np.int64)) / 7
    return weeks if weeks >= 1 else 0.0


def _told(table: FeedbackTable, period: Period) -> tuple[list[str], list[str]]:
    """Ids and plain texts."""
    at = np.flatnonzero(rows_of(table.days, period)).tolist()
    return [table.ids[i] for i in at], plain([table.texts[i] for i in at])


def _share(signs: Signs, texts: Sequence[str]) -> Share:
    return Share(int(signs.found(texts).sum()), len(texts))
