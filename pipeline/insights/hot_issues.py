"""The hot-issue map: incidents by hotness, with time span, place, phrases, a quote and the ids of their messages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.insights.groups import Group
from pipeline.insights.hotness import Hotness, HotnessWeights, hotness
from pipeline.insights.quotes import quote, span
from pipeline.insights.table import FeedbackTable
from pipeline.insights.terms import Terms

_PLACE = re.compile(
    r".{2,}(?:小区|街道|社区|大道|公园|广场|学校|学院|大学|中学|小学|幼儿园|医院|商场|超市|酒店|公司|车站|地铁站|工地|市场"
    r"|[路街村镇乡县区市店园苑城府院馆])(?<!政府)"
)
_NAMED = re.compile(r".{2,}(?:小区|街道|社区|大道|公园|广场)")
"""Likewise of two words that were not joined to one, of which “进出医院” is no place."""

_PLACE_SHARE = 0.3  # of an issue's messages that name it
_PLACE_ATTRIBUTES = ("region", "place", "shop", "store", "city", "地区", "门店", "城市")


@dataclass(frozen=True, eq=False)
class HotIssue:
    """A group with its hotness and where it happens."""

    group: Group
    heat: Hotness
    place: str | None

    def to_dict(self, table: FeedbackTable, *, ids: bool = True) -> dict[str, Any]:
        first, last = span(table, self.group.rows)
        found: dict[str, Any] = {
            "hotness": round(self.heat.score, 1),
            "messages": len(self.group),
            "first_day": first,
            "last_day": last,
            "place": self.place,
            "phrases": [phrase.text for phrase in self.group.phrases],
            "quote": quote(table.texts[self.group.center]),
            "votes": round(float(table.votes[self.group.rows].sum())),
            "negative": round(self.heat.negativity, 3),
            "urgency": round(self.heat.urgency, 3),
            "growth": round(self.heat.growth, 3),
        }
        return found | ({"ids": [table.ids[i] for i in self.group.rows]} if ids else {})


def hot_issues(
    table: FeedbackTable,
    terms: Terms,
    groups: Sequence[Group],
    *,
    least: int = 3,
    weights: HotnessWeights | None = None,
) -> list[HotIssue]:
    """Groups of at least `least` messages, the hottest first."""
    kept = [group for group in groups if len(group) >= least]
    heats = hotness(table, [group.rows for group in kept], weights)
    order = sorted(range(len(kept)), key=lambda i: (-heats[i].score, i))
    return [HotIssue(kept[i], heats[i], _place(table, terms, kept[i])) for i in order]


def _place(table: FeedbackTable, terms: Terms, group: Group) -> str | None:
    """By attribute where the table has one; else the rarest name of a place that enough of the messages hold."""
    for name in _PLACE_ATTRIBUTES:
        if name in table.attributes:
            found = table.attributes[name].commonest(group.rows)
            if found is not None and found[1] >= _PLACE_SHARE * len(group):
                return found[0]
    counts = np.asarray(terms.matrix[group.rows].sum(axis=0)).ravel()
    likely = np.flatnonzero(counts >= max(2, _PLACE_SHARE * len(group)))
    named = [i for i in likely if (_NAMED if terms.pair[i] else _PLACE).fullmatch(terms.names[i])]
    if not named:
        return None
    total = terms.document_counts
    best = max(named, key=lambda i: (counts[i] * np.log(len(table) / total[i]), len(terms.names[i]), terms.names[i]))
    return terms.names[best]
