"""The desks (queues) and how complaints are handled: overdue, grave, repeated, as far as the columns tell."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from pipeline.insights.report.issues import is_grave, tells_grave
from pipeline.insights.report.shares import Share, Verdict, difference, verdict
from pipeline.insights.report.week import BASE_WEEKS, Week, data_span
from pipeline.insights.table import MISSING, FeedbackTable, Mask, Times
from pipeline.insights.trends import Period, rows_of

_WORST = 3
_LEAST = 5  # comments of a desk, below which it is not ranked
_REPEATED_DAYS = 30
_CLOSED = "resolved"  # of the column status


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of the week's comments against the weeks before, so many of them as can be compared."""

    now: Share
    before: Share
    p_value: float
    weeks: int = BASE_WEEKS

    @property
    def verdict(self) -> Verdict:
        return verdict(self.now, self.before, self.p_value)

    def to_dict(self) -> dict[str, Any]:
        return {
            "now": self.now.to_dict(),
            "before": self.before.to_dict(),
            "p_value": self.p_value,
            "verdict": str(self.verdict),
            "weeks": self.weeks,
        }


@dataclass(frozen=True, slots=True)
class Desk:
    """A queue's week. `share`: overdue or grave, by which desks are ranked; `category`: what most of it is about."""

    name: str
    messages: int
    share: Share
    before: Share
    category: str | None
    category_share: float
    against: Verdict  # against all other desks

    def to_dict(self) -> dict[str, Any]:
        return {
            "desk": self.name,
            "messages": self.messages,
            "share": self.share.to_dict(),
            "before": self.before.to_dict(),
            "category": self.category,
            "against_others": str(self.against),
        }


@dataclass(frozen=True, slots=True)
class Desks:
    """`by`: "overdue", "grave", or None where nothing ranks them; then `lacking` names the columns that are missing."""

    by: str | None
    worst: tuple[Desk, ...]
    count: int  # desks that had comments in the week
    overall: Share  # of all desks
    lacking: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        worst = [desk.to_dict() for desk in self.worst]
        return {
            "by": self.by,
            "desks": self.count,
            "overall": self.overall.to_dict(),
            "worst": worst,
            "lacking": list(self.lacking),
        }


@dataclass(frozen=True, slots=True)
class Handling:
    """`overdue`, `repeated`: None where the columns do not tell; of no comments where the week has none of them."""

    overdue: Rate | None
    repeated: Rate | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "overdue": None if self.overdue is None else self.overdue.to_dict(),
            "repeated": None if self.repeated is None else self.repeated.to_dict(),
        }


def find_desks(table: FeedbackTable, week: Week) -> Desks:
    """The three worst, the worst first; those of fewer than five comments are not ranked."""
    if "queue" not in table.attributes:
        return Desks(None, (), 0, Share(0, 0), lacking=("queue",))
    column = table.attributes["queue"]
    of_week, of_base = rows_of(table.days, week.period), rows_of(table.days, week.base)
    present = int((column.counts(of_week) > 0).sum())
    overdue = _overdue(table)
    if overdue is not None and (overdue[1] & of_week).any():
        bad, known, by = *overdue, "overdue"
    elif tells_grave(table):
        bad, known, by = is_grave(table), np.ones(len(table), dtype=np.bool_), "grave"
    else:
        return Desks(None, (), present, Share(0, 0), lacking=("due_at", "status", "urgency"))
    found = []
    for name in column.values:
        rows = column.is_value(name)
        share, before = (_share(bad, known & rows & period) for period in (of_week, of_base))
        if share.of >= _LEAST and share.count:
            category, part = _category(table, rows & of_week)
            others = _share(bad, known & of_week & ~rows & (column.codes != MISSING))
            against = verdict(share, others, difference(share, others))
            if against is not Verdict.FEWER:  # clearly better than the others: none of the worst, however few there are
                found.append(Desk(name, int((rows & of_week).sum()), share, before, category, part, against))
    # By what is sure of the share: a desk with one comment, overdue, is not worse than one with 50 of 80.
    found.sort(key=lambda desk: (-desk.share.surely, desk.name))
    return Desks(by, tuple(found[:_WORST]), present, _share(bad, known & of_week & (column.codes != MISSING)))


def find_handling(table: FeedbackTable, week: Week) -> Handling:
    """Overdue and repeat rates of the week against the weeks before."""
    overdue, repeated = _overdue(table), _repeated(table)
    return Handling(_rate(table, overdue, week, BASE_WEEKS), _rate(table, repeated, week, _whole_weeks(table, week)))


def _whole_weeks(table: FeedbackTable, week: Week) -> int:
    """Of the weeks before, those whose look-back lies within the data: a cut-off one finds too few repeats."""
    since = data_span(table.days).period.first + timedelta(days=_REPEATED_DAYS)
    whole = (week.first - since).days // 7 if since <= week.first else 0
    return min(BASE_WEEKS, whole)


def _rate(table: FeedbackTable, of: tuple[Mask, Mask] | None, week: Week, weeks: int) -> Rate | None:
    if of is None:
        return None
    bad, known = of
    base = Period(week.first - timedelta(days=7 * weeks), week.base.last)
    now, before = (_share(bad, known & rows_of(table.days, period)) for period in (week.period, base))
    return Rate(now, before, difference(now, before), weeks)


def _share(bad: Mask, rows: Mask) -> Share:
    return Share(int((bad & rows).sum()), int(rows.sum()))


def _overdue(table: FeedbackTable) -> tuple[Mask, Mask] | None:
    """(n,) overdue, and (n,) where that is known: answered, or due by the last moment that the file knows of."""
    due, noted = table.moments.get("due_at"), table.moments.get("overdue_at")
    late = np.zeros(len(table), dtype=np.bool_) if noted is None else ~np.isnat(noted)
    status = table.attributes.get("status")
    answered = _answered(table)
    if due is None or (answered is None and status is None):
        # A due time alone does not say whether somebody answered. What is noted as overdue does.
        return None if noted is None else (late, np.ones(len(table), dtype=np.bool_))
    answered = np.full(len(table), np.datetime64("NaT", "s")) if answered is None else answered
    closed = np.zeros(len(table), dtype=np.bool_) if status is None else status.is_value(_CLOSED)
    now = max(column[~np.isnat(column)].max() for column in _seen(table))
    open_ = np.isnat(answered) & ~closed
    passed = open_ & (due < now)
    late |= (answered > due) | passed
    return late, late | (~np.isnat(due) & (~np.isnat(answered) | passed))


def _answered(table: FeedbackTable) -> Times | None:
    """(n,) when somebody first answered; of the columns that tell, the first that a row has."""
    found: Times | None = None
    for name in ("responded_at", "resolved_at"):
        column = table.moments.get(name)
        if column is not None:
            found = column.copy() if found is None else np.where(np.isnat(found), column, found)
    changed, status = table.moments.get("status_at"), table.attributes.get("status")
    if changed is not None and status is not None:
        done = np.where(status.is_value(_CLOSED), changed, np.datetime64("NaT", "s"))
        found = done if found is None else np.where(np.isnat(found), done, found)
    return found


def _seen(table: FeedbackTable) -> list[Times]:
    """Columns of what has happened, of which each holds something."""
    happened = [table.times, *(column for name, column in table.moments.items() if name != "due_at")]
    return [column for column in happened if not np.isnat(column).all()]


def _repeated(table: FeedbackTable) -> tuple[Mask, Mask] | None:
    """(n,) complaints of a customer who complained about the same category in the 30 days before; and where known."""
    if table.customers is None or not table.negative.any():
        return None
    known = (table.customers != MISSING) & ~np.isnat(table.times) & (table.negative >= 0.5)
    category = table.labels["category"].codes if "category" in table.labels else np.zeros(len(table), dtype=np.int64)
    at = np.flatnonzero(known)
    order = at[np.lexsort((table.times[at].astype(np.int64), category[at], table.customers[at]))]
    again = np.zeros(len(table), dtype=np.bool_)
    one, other = order[:-1], order[1:]
    same = (table.customers[one] == table.customers[other]) & (category[one] == category[other])
    soon = table.times[other] - table.times[one] <= np.timedelta64(_REPEATED_DAYS, "D")
    again[other[same & soon]] = True
    return again, known


def _category(table: FeedbackTable, rows: Mask) -> tuple[str | None, float]:
    if "category" not in table.labels:
        return None, 0.0
    column = table.labels["category"]
    found = column.commonest(rows)
    return (None, 0.0) if found is None else (found[0], found[1] / int(column.counts(rows).sum()))
