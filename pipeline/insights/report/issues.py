"""The hot issues of a week: retellings of one incident and bursts of a day taken together, with causes and desk.

Only the week's comments are grouped, which takes a tenth of the time that five weeks' take. How often an issue was told
before is counted by the signs that it is known by this week (signs.py), in both weeks alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from pipeline.insights.report.week import BASE_WEEKS, Week
from pipeline.insights.series import Membership
from pipeline.insights.significance import discoveries
from pipeline.insights.table import FeedbackTable, Ints, Mask
from pipeline.insights.terms import Terms
from pipeline.insights.trends import rows_of

_LEAST = 3  # comments of the week
_MOST = 40  # issues that are looked at closely
_NEGATIVE = 0.3  # of an issue's comments: what people praise is no issue
_OVERLAP = 0.5  # of the smaller set of comments, from which a burst and a group are one issue
_GROWTH_RATE = 0.01
_GRAVE_SHARE, _LEAST_GRAVE = 0.3, 2
_MOST_COMPARED = 50_000  # other comments that an issue is compared with …
_MOST_READ = 2000  # … and those whose words the fishbone reads
_BONE_SHARE = 0.3
_NAMED = 3  # phrases of a title
_PLACE_SHARE = 0.4  # of the comments, from which a place is named as where they come from


@dataclass(frozen=True, eq=False)
class Issue:
    """`rows`: the week's, indices into the recent table.

    `recognised`: comments of the week that the signs find; `recognised_before`: likewise a week before, None where
    there is nothing before.
    """

    rows: Ints
    phrases: tuple[str, ...]
    hotness: float
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
    recognised: int
    recognised_before: float | None

    @property
    def usual(self) -> float | None:
        """Comments a week before: those recognised, and as many more or fewer as the signs miss or add this week."""
        if self.recognised_before is None or not self.recognised:
            return None
        return self.recognised_before * len(self.rows) / self.recognised

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
    """The hottest first. `base_days`: of the weeks before that lie within the data."""
    of_week = rows_of(recent.days, week.period)
    sets, bursting = _candidates(recent, terms, members, week, of_week)
    if not sets:
        return ()
    heats = hotness(recent, sets)
    # A burst is new and may still be small beside what is complained of every week: it is always looked at.
    order = sorted(range(len(sets)), key=lambda i: (not bursting[i], -heats[i].score, int(sets[i][0])))[:_MOST]
    look = _Look(recent, members, week, of_week, plain(recent.texts), base_days / 7 if base_days >= 7 else None)
    issues = _looked_at(look, terms, [sets[i] for i in order])
    joined = _same_origin(issues)
    return issues if len(joined) == len(issues) else _looked_at(look, terms, joined)


def _looked_at(look: "_Look", terms: Terms, sets: Sequence[Ints]) -> tuple[Issue, ...]:
    codes = np.full(len(look.recent), -1, dtype=np.int64)
    for i in reversed(range(len(sets))):  # a comment of two issues tells of the first one
        codes[sets[i]] = i
    phrases = [tuple(phrase.text for phrase in found) for found in key_phrases(terms, codes, len(sets))]
    signs = [look.signs(rows, told) for rows, told in zip(sets, phrases, strict=True)]
    found = [look.found(one) for one in signs]
    growing = look.growing(found)
    heats = hotness(look.recent, [np.union1d(rows, np.flatnonzero(one)) for rows, one in zip(sets, found, strict=True)])
    issues = [
        look.issue(rows, phrases[i], signs[i], found[i], score=heats[i].score, growing=bool(growing[i]))
        for i, rows in enumerate(sets)
    ]
    return tuple(sorted(issues, key=lambda issue: (-issue.hotness, -len(issue.rows), int(issue.rows[0]))))


def _same_origin(issues: Sequence[Issue]) -> list[Ints]:
    """Rows of each, where growing issues of one place, category and word are one, told in different words."""
    kept: list[tuple[Issue, Ints]] = []
    for issue in issues:
        rows = issue.rows
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


def _candidates(
    recent: FeedbackTable, terms: Terms, members: Membership, week: Week, of_week: Mask
) -> tuple[list[Ints], list[bool]]:
    """Sets of the week's rows that share little, and whether each holds a burst.

    Groups of retellings, and bursts of a day joined to the group that they are of.
    """
    at = np.flatnonzero(of_week)
    grouped = find_groups(recent.take(at), replace(terms, matrix=terms.matrix[at]), least=_LEAST) if len(at) else []
    sets = [at[group.rows] for group in grouped]
    owner = np.full(len(recent), -1, dtype=np.int64)
    for i, rows in enumerate(sets):
        owner[rows] = i
    bursting = set()
    for day in week.period.days():
        try:
            incidents = find_incidents(recent, members, day)
        except DataError:  # too few days before: groups alone tell
            continue
        bursting |= {_join(sets, owner, incident.rows) for incident in incidents}
    told = bool(recent.negative.any())
    kept = [
        i for i, rows in enumerate(sets)
        if len(rows) >= _LEAST and (not told or recent.negative[rows].mean() >= _NEGATIVE)
    ]  # fmt: skip
    return [sets[i] for i in kept], [i in bursting for i in kept]


def _join(sets: list[Ints], owner: Ints, rows: Ints) -> int:
    """Add a burst's rows to the set that they are of, or as one of their own; its index. `owner`: (n,) of a row."""
    held = owner[rows]
    for i in np.unique(held[held >= 0]).tolist():
        if int((held == i).sum()) >= _OVERLAP * min(len(sets[i]), len(rows)):
            sets[i] = np.union1d(sets[i], rows)
            owner[rows[held < 0]] = i
            return int(i)
    owner[rows[held < 0]] = len(sets)
    sets.append(rows)
    return len(sets) - 1


@dataclass(frozen=True, eq=False)
class _Look:
    """What is needed to look closely at a set of rows. `texts`: plain ones; `weeks`: before, None where too few."""

    recent: FeedbackTable
    members: Membership
    week: Week
    of_week: Mask
    texts: Sequence[str]
    weeks: float | None

    def signs(self, rows: Ints, phrases: tuple[str, ...]) -> Signs | None:
        """What tells a set's rows from the week's others."""
        at = np.flatnonzero(self.of_week)
        return signs_of(phrases, [self.texts[i] for i in at.tolist()], np.isin(at, rows))

    def found(self, signs: Signs | None) -> Mask:
        """(n,) rows of all weeks that the signs find."""
        return np.zeros(len(self.recent), dtype=np.bool_) if signs is None else signs.found(self.texts)

    def growing(self, found: Sequence[Mask]) -> Mask:
        """(sets,) whether each has a larger share of this week's comments than of those before (exact, FDR held)."""
        if self.weeks is None:
            return np.zeros(len(found), dtype=np.bool_)
        now = np.array([int((one & self.of_week).sum()) for one in found])
        size = np.array([int(one.sum()) for one in found])
        p_values = stats.hypergeom.sf(now - 1, len(self.of_week), size, int(self.of_week.sum()))
        return discoveries(np.asarray(p_values), _GROWTH_RATE)

    def issue(
        self, rows: Ints, phrases: tuple[str, ...], signs: Signs | None, found: Mask, *, score: float, growing: bool
    ) -> Issue:
        """All that is told of a set of the week's rows."""
        recent = self.recent
        belongs = found.copy()
        belongs[rows] = True
        rest = np.flatnonzero(~belongs)
        rest = rest[:: max(1, len(rest) // _MOST_COMPARED)]
        # What holds few of the phrases is at the issue's edge: no example of it.
        held = hits(phrases, [self.texts[i] for i in rows.tolist()])
        typical = rows[held == held.max()]
        recognised = int((found & self.of_week).sum())
        return Issue(
            rows=rows,
            phrases=phrases,
            hotness=score,
            growing=growing,
            grave=int(is_grave(recent)[rows].sum()),
            causes=find_causes(self.members, rows, rest),
            bone=_bone(recent, rows, rest),
            desk=_most(recent, "queue", rows),
            category=_most(recent, "category", rows),
            quotes=tuple(one["text"] for one in examples(recent, typical, most=2)),
            ids=tuple(recent.ids[i] for i in rows),
            daily=_daily(recent, np.flatnonzero(belongs), self.week),
            signs=signs,
            recognised=recognised,
            recognised_before=None if self.weeks is None else (int(found.sum()) - recognised) / self.weeks,
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
    compared = rest[:: max(1, len(rest) // _MOST_READ)]
    bones = [bone for bone in fishbone(recent, rows, compared) if bone.share >= _BONE_SHARE]
    return max(bones, key=lambda bone: bone.share - bone.rest_share, default=None)


def _most(table: FeedbackTable, name: str, rows: Ints) -> str | None:
    """The most frequent value of a label or an attribute."""
    column = table.labels.get(name, table.attributes.get(name))
    found = None if column is None else column.commonest(rows)
    return None if found is None else found[0]


def _daily(recent: FeedbackTable, rows: Ints, week: Week) -> tuple[int, ...]:
    place = (recent.days[rows] - np.datetime64(week.base.first)).astype(np.int64)
    return tuple(np.bincount(place, minlength=7 * (BASE_WEEKS + 1)).tolist())
