"""The hot issues of a week: retellings of one incident and bursts of a day taken together, with causes and desk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from pipeline.errors import DataError
from pipeline.insights.causes import Cause, Causes, find_causes
from pipeline.insights.fishbone import BoneShare, fishbone
from pipeline.insights.groups import find_groups
from pipeline.insights.hotness import hotness
from pipeline.insights.incidents import find_incidents
from pipeline.insights.key_phrases import key_phrases
from pipeline.insights.quotes import examples
from pipeline.insights.report.signs import Signs, hits, plain, signs_of
from pipeline.insights.report.week import BASE_WEEKS, Week, rows_of
from pipeline.insights.series import Membership
from pipeline.insights.significance import discoveries
from pipeline.insights.table import FeedbackTable, Ints, Mask
from pipeline.insights.terms import Terms

_LEAST = 3  # comments of the week
_MOST = 30  # issues that are looked at closely
_NEGATIVE = 0.3  # of an issue's comments: what people praise is no issue
_OVERLAP = 0.5  # of the smaller set of comments, from which a burst and a group are one issue
_GROWTH_RATE = 0.01
_GRAVE_SHARE, _LEAST_GRAVE = 0.3, 2
_MOST_COMPARED = 2000  # other comments that the fishbone is compared with
_BONE_SHARE = 0.3
_NAMED = 3  # phrases of a title
_PLACE_SHARE = 0.4  # of the comments, from which a place is named as where they come from


@dataclass(frozen=True, eq=False)
class Issue:
    """`rows`: the week's, indices into the recent table; `earlier`: of the weeks before."""

    rows: Ints
    earlier: Ints
    phrases: tuple[str, ...]
    hotness: float
    usual: float | None  # comments a week before; None where there is nothing before
    growing: bool
    grave: int
    causes: Causes
    bone: BoneShare | None
    desk: str | None
    category: str | None
    quotes: tuple[str, ...]
    ids: tuple[str, ...]
    daily: tuple[int, ...]  # over the weeks of the base line and the week
    signs: Signs | None
    recognised: int  # comments of the week that the signs find

    @property
    def named(self) -> tuple[str, ...]:
        """The phrases that it is called by: single characters (气, 价) only where there are no others."""
        longer = tuple(phrase for phrase in self.phrases if len(phrase) > 1)
        return (longer or self.phrases)[:_NAMED]

    @property
    def new(self) -> bool:
        return self.usual == 0

    @property
    def place(self) -> Cause | None:
        """Where most of it comes from: an attribute's value, or a pair of them."""
        return next((cause for cause in self.causes.where if cause.share >= _PLACE_SHARE), None)

    @property
    def is_grave(self) -> bool:
        return self.grave >= max(_LEAST_GRAVE, _GRAVE_SHARE * len(self.rows))

    def to_dict(self) -> dict[str, Any]:
        first = self.causes.first
        return {
            "phrases": list(self.phrases),
            "messages": len(self.rows),
            "usual": None if self.usual is None else round(self.usual, 2),
            "growing": self.growing,
            "new": self.new,
            "grave": self.grave,
            "hotness": round(self.hotness, 1),
            "cause": None if first is None else first.to_dict(),
            "bone": None if self.bone is None else self.bone.key,
            "desk": self.desk,
            "category": self.category,
            "quotes": list(self.quotes),
            "ids": list(self.ids),
            "signs": None if self.signs is None else self.signs.to_dict(),
            "recognised": self.recognised,
        }


def find_issues(
    recent: FeedbackTable, terms: Terms, members: Membership, week: Week, *, base_days: int
) -> tuple[Issue, ...]:
    """The hottest first, at most 30. `base_days`: of the weeks before that lie within the data."""
    of_week = rows_of(recent.days, week.period)
    sets = _candidates(recent, terms, members, week, of_week)
    if not sets:
        return ()
    look = _Look(recent, members, week, of_week, plain(recent.texts), base_days / 7 if base_days >= 7 else None)
    issues = _looked_at(look, terms, sets)
    joined = _same_origin(issues)
    return issues if len(joined) == len(issues) else _looked_at(look, terms, joined)


def _looked_at(look: "_Look", terms: Terms, sets: Sequence[Ints]) -> tuple[Issue, ...]:
    heats = hotness(look.recent, sets)
    order = sorted(range(len(sets)), key=lambda i: (-heats[i].score, -len(sets[i]), int(sets[i][0])))[:_MOST]
    kept = [sets[i] for i in order]
    codes = np.full(len(look.recent), -1, dtype=np.int64)
    for i in reversed(range(len(kept))):  # a comment of two issues tells of the hotter one
        codes[kept[i]] = i
    phrases = key_phrases(terms, codes, len(kept))
    growing = _growing(kept, look.of_week, look.weeks)
    return tuple(
        look.issue(rows, tuple(phrase.text for phrase in phrases[i]), heats[order[i]].score, growing=bool(growing[i]))
        for i, rows in enumerate(kept)
    )


def _same_origin(issues: Sequence[Issue]) -> list[Ints]:
    """Rows of each, where growing issues of one place, category and word are one, told in different words."""
    kept: list[tuple[Issue, Ints]] = []
    for issue in issues:
        rows = np.union1d(issue.rows, issue.earlier)
        same = next((i for i, (other, _) in enumerate(kept) if _one_origin(issue, other)), None)
        if same is None:
            kept.append((issue, rows))
        else:
            kept[same] = kept[same][0], np.union1d(kept[same][1], rows)
    return [rows for _, rows in kept]


def _one_origin(one: Issue, other: Issue) -> bool:
    first, second = one.place, other.place
    if not (one.growing and other.growing) or first is None or second is None:
        return False
    if first.series != second.series or one.category != other.category:
        return False
    return any(len(a) > 1 and (a in b or b in a) for a in one.phrases for b in other.phrases if len(b) > 1)


def _candidates(recent: FeedbackTable, terms: Terms, members: Membership, week: Week, of_week: Mask) -> list[Ints]:
    """Sets of rows that share nothing or little: groups of retellings, and bursts joined to the group they are of."""
    sets = [group.rows for group in find_groups(recent, terms, least=_LEAST) if of_week[group.rows].sum() >= _LEAST]
    owner = np.full(len(recent), -1, dtype=np.int64)
    for i, rows in enumerate(sets):
        owner[rows] = i
    for day in week.period.days():
        try:
            incidents = find_incidents(recent, members, day)
        except DataError:  # too few days before: groups alone tell
            continue
        for incident in incidents:
            _join(sets, owner, incident.rows)
    told = bool(recent.negative.any())
    return [
        rows
        for rows in sets
        if of_week[rows].sum() >= _LEAST and (not told or recent.negative[rows].mean() >= _NEGATIVE)
    ]


def _join(sets: list[Ints], owner: Ints, rows: Ints) -> None:
    """Add a burst's rows to the set that they are of, or as one of their own. `owner`: (n,) a row's set, or -1."""
    held = owner[rows]
    for i in np.unique(held[held >= 0]).tolist():
        if int((held == i).sum()) >= _OVERLAP * min(len(sets[i]), len(rows)):
            sets[i] = np.union1d(sets[i], rows)
            owner[rows[held < 0]] = i
            return
    owner[rows[held < 0]] = len(sets)
    sets.append(rows)


def _growing(sets: Sequence[Ints], of_week: Mask, weeks: float | None) -> Mask:
    """(sets,) whether each has a larger share of this week's comments than of those before (exact, FDR held)."""
    if weeks is None:
        return np.zeros(len(sets), dtype=np.bool_)
    n, total = int(of_week.sum()), len(of_week)
    now = np.array([int(of_week[rows].sum()) for rows in sets])
    size = np.array([len(rows) for rows in sets])
    return discoveries(np.asarray(stats.hypergeom.sf(now - 1, total, size, n)), _GROWTH_RATE)


@dataclass(frozen=True, eq=False)
class _Look:
    """What is needed to look closely at a set of rows. `texts`: plain ones; `weeks`: before, None where too few."""

    recent: FeedbackTable
    members: Membership
    week: Week
    of_week: Mask
    texts: Sequence[str]
    weeks: float | None

    def issue(self, rows: Ints, phrases: tuple[str, ...], score: float, *, growing: bool) -> Issue:
        recent, of_week = self.recent, self.of_week
        now, earlier = rows[of_week[rows]], rows[~of_week[rows]]
        belongs = np.zeros(len(recent), dtype=np.bool_)
        belongs[rows] = True
        rest = np.flatnonzero(~belongs)
        signs = signs_of(phrases, self.texts, belongs)
        found = np.zeros(len(recent), dtype=np.bool_) if signs is None else signs.found(self.texts)
        # What holds few of the phrases is at the issue's edge: no example of it.
        held = hits(phrases, [self.texts[i] for i in now])
        typical = now[held == held.max()]
        return Issue(
            rows=now,
            earlier=earlier,
            phrases=phrases,
            hotness=score,
            usual=None if self.weeks is None else len(earlier) / self.weeks,
            growing=growing,
            grave=int(is_grave(recent)[now].sum()),
            causes=find_causes(self.members, now, rest),
            bone=_bone(recent, now, rest),
            desk=_most(recent, "queue", now),
            category=_most(recent, "category", now),
            quotes=tuple(one["text"] for one in examples(recent, typical, most=2)),
            ids=tuple(recent.ids[i] for i in now),
            daily=_daily(recent, rows, self.week),
            signs=signs,
            recognised=int((found & of_week).sum()),
        )


def is_grave(table: FeedbackTable) -> Mask:
    """(n,) whether somebody must act soon: urgency high or critical, by label or by probability."""
    found = table.urgent >= 0.5
    if "urgency" in table.labels:
        urgency = table.labels["urgency"]
        found = found | urgency.is_value("high") | urgency.is_value("critical")
    return np.asarray(found)


def tells_grave(table: FeedbackTable) -> bool:
    """Whether the table has an urgency at all."""
    return "urgency_score" in table.numbers or "urgency" in table.labels


def _bone(recent: FeedbackTable, rows: Ints, rest: Ints) -> BoneShare | None:
    compared = rest[:: max(1, len(rest) // _MOST_COMPARED)]
    bones = [bone for bone in fishbone(recent, rows, compared) if bone.share >= _BONE_SHARE]
    return max(bones, key=lambda bone: bone.share - bone.rest_share, default=None)


def _most(table: FeedbackTable, name: str, rows: Ints) -> str | None:
    """The most frequent value of a label or an attribute."""
    column = table.labels.get(name, table.attributes.get(name))
    if column is None:
        return None
    codes = column.codes[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(column.values))
    return column.values[int(counts.argmax())] if counts.any() else None


def _daily(recent: FeedbackTable, rows: Ints, week: Week) -> tuple[int, ...]:
    place = (recent.days[rows] - np.datetime64(week.base.first)).astype(np.int64)
    return tuple(np.bincount(place, minlength=7 * (BASE_WEEKS + 1)).tolist())
