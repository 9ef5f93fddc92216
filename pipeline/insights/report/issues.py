"""The hot issues of a week: retellings of one incident and bursts of a day taken together, with causes and desk.

Only the week's comments are grouped, which takes a tenth of the time that five weeks' take. A group gives the signs
(signs.py) that its issue is known by; how many comments are of it is counted by them alone, in every week alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.insights.causes import Cause, Causes, find_causes
from pipeline.insights.fishbone import BoneShare, fishbone
from pipeline.insights.groups import find_groups
from pipeline.insights.hotness import hotness
from pipeline.insights.incidents import find_incidents
from pipeline.insights.key_phrases import key_phrases
from pipeline.insights.quotes import examples
from pipeline.insights.report.growing import OVERLAP, Halves, halve, more
from pipeline.insights.report.signs import Signs, hits, likeness, plain, signs_of
from pipeline.insights.report.week import BASE_WEEKS, Week
from pipeline.insights.series import Membership
from pipeline.insights.significance import discoveries
from pipeline.insights.table import FeedbackTable, Ints, Mask
from pipeline.insights.terms import Terms
from pipeline.insights.trends import rows_of

_LEAST = 3  # comments of the week
_MOST = 40  # issues that are looked at closely
_NEGATIVE = 0.3  # of an issue's comments: what people praise is no issue
_GROWTH_RATE = 0.05
_LIKE = 0.6  # F1 of the signs and the group, below which the signs tell of something else and nothing is compared
_GRAVE_SHARE, _LEAST_GRAVE = 0.3, 2
_MOST_COMPARED = 50_000  # other comments that an issue is compared with …
_MOST_READ = 2000  # … and those whose words the fishbone reads
_BONE_SHARE = 0.3
_NAMED = 3  # phrases of a title
_PHRASES = 12  # that signs are chosen from
_PLACE_SHARE = 0.4  # of the comments, from which a place is named as where they come from


@dataclass(frozen=True, eq=False)
class Issue:
    """`rows`: the week's, indices into the recent table: those that the signs find, of a group without signs its own.

    `weekly`: comments of each of the weeks before by the same signs; `usual`: the mean of a week before. None where
    there is nothing before or there are no signs to count by.
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
    weekly: tuple[int, ...] | None
    usual: float | None

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
            "weeks_before": None if self.weekly is None else list(self.weekly),
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
    texts = plain(recent.texts)
    weeks = base_days / 7 if base_days >= 7 else None
    halves = None if weeks is None else halve(recent, terms, texts, week)
    look = _Look(recent, members, week, of_week, texts, weeks, halves)
    issues = _looked_at(look, terms, [sets[i] for i in order], [bursting[i] for i in order])
    joined = _same_origin(issues)
    if len(joined) == len(issues):
        return issues
    return _looked_at(look, terms, [rows for rows, _ in joined], [burst for _, burst in joined])


def _looked_at(look: "_Look", terms: Terms, sets: Sequence[Ints], bursting: Sequence[bool]) -> tuple[Issue, ...]:
    codes = np.full(len(look.recent), -1, dtype=np.int64)
    for i in reversed(range(len(sets))):  # a comment of two issues tells of the first one
        codes[sets[i]] = i
    phrases = [tuple(one.text for one in found) for found in key_phrases(terms, codes, len(sets), most=_PHRASES)]
    signs = [look.signs(rows, told) for rows, told in zip(sets, phrases, strict=True)]
    found = [look.found(one) for one in signs]
    growing = look.growing(sets, found, bursting)
    rows = [
        np.flatnonzero(one & look.of_week) if sign is not None else old
        for sign, one, old in zip(signs, found, sets, strict=True)
    ]
    heats = hotness(look.recent, [np.union1d(own, np.flatnonzero(one)) for own, one in zip(rows, found, strict=True)])
    order = sorted(range(len(sets)), key=lambda i: (not growing[i], -heats[i].score, -len(rows[i]), int(rows[i][0])))
    issues = [
        look.issue(rows[i], phrases[i], signs[i], found[i], score=heats[i].score, growing=bool(growing[i]))
        for i in _apart(rows, order)
    ]
    return tuple(sorted(issues, key=lambda issue: (-issue.hotness, -len(issue.rows), int(issue.rows[0]))))


def _apart(rows: Sequence[Ints], order: Sequence[int]) -> list[int]:
    """Without those that mostly hold comments of one before them, or next to none."""
    kept: list[int] = []
    for i in order:
        if len(rows[i]) >= _LEAST and not any(
            len(np.intersect1d(rows[i], rows[j])) >= OVERLAP * min(len(rows[i]), len(rows[j])) for j in kept
        ):
            kept.append(i)
    return kept


def _same_origin(issues: Sequence[Issue]) -> list[tuple[Ints, bool]]:
    """Rows of each and whether it grows, where growing issues of one place, category and word are one."""
    kept: list[tuple[Issue, Ints]] = []
    for issue in issues:
        rows = issue.rows
        same = next((i for i, (other, _) in enumerate(kept) if _one_origin(issue, other)), None)
        if same is None:
            kept.append((issue, rows))
        else:
            kept[same] = kept[same][0], np.union1d(kept[same][1], rows)
    return [(rows, issue.growing) for issue, rows in kept]


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
        if int((held == i).sum()) >= OVERLAP * min(len(sets[i]), len(rows)):
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
    halves: Halves | None  # likewise

    def signs(self, rows: Ints, phrases: tuple[str, ...]) -> Signs | None:
        """What tells a set's rows from the week's others, None where nothing does well enough to count by."""
        at = np.flatnonzero(self.of_week)
        texts, belongs = [self.texts[i] for i in at.tolist()], np.isin(at, rows)
        signs = signs_of(phrases, texts, belongs)
        return signs if signs is not None and likeness(signs.found(texts), belongs) >= _LIKE else None

    def found(self, signs: Signs | None) -> Mask:
        """(n,) rows of all weeks that the signs find."""
        return np.zeros(len(self.recent), dtype=np.bool_) if signs is None else signs.found(self.texts)

    def growing(self, sets: Sequence[Ints], found: Sequence[Mask], bursting: Sequence[bool]) -> Mask:
        """(sets,) whether each is told more often than in the weeks before (FDR held)."""
        if self.halves is None:
            return np.zeros(len(sets), dtype=np.bool_)
        p_values = self.halves.p_values(sets)
        for i in np.flatnonzero(bursting).tolist():
            # A burst was found by a test that holds its own false alarms: it may be counted where it was found.
            p_values[i] = min(p_values[i], more(found[i], self.of_week, self.halves.base))
        counted = np.array([bool(one.any()) for one in found])
        return discoveries(np.where(counted, p_values, 1.0), _GROWTH_RATE)

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
        counted = signs is not None and self.weeks is not None
        weekly = _daily(recent, np.flatnonzero(found & ~self.of_week), self.week, by=7)[:BASE_WEEKS]
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
            weekly=weekly if counted else None,
            usual=sum(weekly) / self.weeks if counted and self.weeks else None,
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


def _daily(recent: FeedbackTable, rows: Ints, week: Week, *, by: int = 1) -> tuple[int, ...]:
    """Over the weeks of the base line and the week, so many days together."""
    place = (recent.days[rows] - np.datetime64(week.base.first)).astype(np.int64) // by
    return tuple(np.bincount(place, minlength=7 * (BASE_WEEKS + 1) // by).tolist())
