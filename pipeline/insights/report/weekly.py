"""The weekly report: everything that it tells, computed from a table, before a word of it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from pipeline.insights.alert_rules import AlertRule
from pipeline.insights.report.desks import Desks, Handling, find_desks, find_handling
from pipeline.insights.report.growth import Growth, find_growth
from pipeline.insights.report.issues import Issue, find_issues, is_grave, tells_grave
from pipeline.insights.report.pictures import Pictures, find_pictures
from pipeline.insights.report.previous import KIND, VERSION, Earlier, FollowUp, Item, check_before, follow_up
from pipeline.insights.report.satisfaction import Satisfaction, find_satisfaction
from pipeline.insights.report.settings import ReportSettings
from pipeline.insights.report.shares import LEAST_COMPARED, Share
from pipeline.insights.report.week import Week, data_span
from pipeline.insights.series import DERIVED, membership
from pipeline.insights.table import FeedbackTable
from pipeline.insights.terms import Terms
from pipeline.insights.trends import rows_of

_HOT = 10
_PREVENTED = 8


@dataclass(frozen=True, eq=False)
class WeeklyReport:
    """`issues`: the hottest, growing ones first; `prevent`: what must be stopped within 48 hours, the gravest first.

    `negative`: None where the file tells no sentiment; `grave`: likewise of urgency. `alone`: critical comments that
    belong to no issue. `covered`: the week's days that lie within the data. `untimed`: rows without a time.
    `outside`: days of rows far from all others or after today. `attributes`: those that
    can tell where an issue comes from.
    """

    week: Week
    messages: int
    covered: int
    untimed: int
    outside: tuple[date, ...]
    attributes: tuple[str, ...]
    negative: Share | None
    grave: Share | None
    growth: Growth
    pictures: Pictures
    issues: tuple[Issue, ...]
    prevent: tuple[Issue, ...]
    alone: int
    desks: Desks
    handling: Handling
    satisfaction: Satisfaction
    follow_up: FollowUp | None

    @property
    def items(self) -> tuple[Item, ...]:
        """The list that the next report looks back on: what had to be prevented first, then the other hot issues.

        What neither grows nor is frequent could not be told to have changed.
        """
        urgent = {id(issue) for issue in self.prevent}
        listed = [*self.prevent, *(issue for issue in self.issues if id(issue) not in urgent)]
        return tuple(
            Item(
                title="、".join(issue.named),
                within_48h=id(issue) in urgent,
                desk=issue.desk,
                signs=issue.signs,
                share=Share(len(issue.rows), self.messages),
                usual=issue.usual,
            )
            for issue in listed
            if issue.signs is not None and (issue.growing or len(issue.rows) >= LEAST_COMPARED)
        )

    def to_dict(self) -> dict[str, Any]:
        """What is written beside the page, for programs and for the next report."""
        return {
            "kind": KIND,
            "version": VERSION,
            "week": str(self.week),
            "first_day": str(self.week.first),
            "last_day": str(self.week.last),
            "days_covered": self.covered,
            "messages": self.messages,
            "rows_without_time": self.untimed,
            "rows_of_far_days": len(self.outside),
            "negative": None if self.negative is None else self.negative.to_dict(),
            "grave": None if self.grave is None else self.grave.to_dict(),
            "growth": self.growth.to_dict(),
            "pictures": self.pictures.to_dict(),
            "hot_issues": [issue.to_dict() for issue in self.issues],
            "prevent_within_48h": [issue.to_dict() for issue in self.prevent],
            "critical_outside_issues": self.alone,
            "desks": self.desks.to_dict(),
            "handling": self.handling.to_dict(),
            "satisfaction": self.satisfaction.to_dict(),
            "list": [item.to_dict() for item in self.items],
            "previous_list": None if self.follow_up is None else self.follow_up.to_dict(),
        }


def weekly_report(
    table: FeedbackTable,
    recent: FeedbackTable,
    terms: Terms,
    week: Week,
    *,
    settings: ReportSettings,
    rules: Sequence[AlertRule] = (),
    earlier: Earlier | None = None,
) -> WeeklyReport:
    """`recent`: `recent_part` of the table, with embeddings where there are any; `terms`: its terms. `rules`: those
    whose alerts of the week are told.

    Raises UsageError `previous_not_before`.
    """
    if earlier is not None:
        check_before(week, earlier)
    members = membership(recent, terms)
    growth = find_growth(table, recent, members, week)
    of_week = rows_of(table.days, week.period)
    count = int(of_week.sum())
    issues = find_issues(recent, terms, members, week, base_days=growth.base_days) if count else ()
    span = data_span(table.days)
    covered = [day for day in week.period.days() if span.period.first <= day <= span.period.last]
    outside = span.outside[~rows_of(span.outside, week.period)]
    # Where there is nothing before, growth cannot be told: then what is grave is listed.
    prevent = [issue for issue in issues if issue.is_grave and (issue.growing or not growth.comparable)]
    prevent.sort(key=lambda issue: (-issue.grave, -issue.hotness))
    hot = _hot(issues, comparable=growth.comparable)
    told = [(issue.signs, issue.ids) for issue in (*prevent, *hot) if issue.signs is not None]
    return WeeklyReport(
        week=week,
        messages=count,
        covered=len(covered),
        untimed=int(np.isnat(table.days).sum()),
        outside=tuple(outside.astype(object).tolist()),
        attributes=tuple(
            name for name, column in table.attributes.items() if name not in DERIVED and len(column.values) > 1
        ),
        negative=_share(table, of_week, "negative") if _tells_sentiment(table) else None,
        grave=_share(table, of_week, "grave") if tells_grave(table) else None,
        growth=growth,
        pictures=find_pictures(table, recent, members, week, first=span.period.first, rules=rules),
        issues=hot,
        prevent=tuple(prevent[:_PREVENTED]),
        alone=_alone(recent, week, issues),
        desks=find_desks(table, week),
        handling=find_handling(table, week),
        satisfaction=find_satisfaction(table, week, settings.dimensions),
        follow_up=None if earlier is None else follow_up(table, week, earlier, told),
    )


def _hot(issues: Sequence[Issue], *, comparable: bool) -> tuple[Issue, ...]:
    """Growing ones first. Three comments that nobody can call growing are not hot: steady issues need five."""
    kept = [issue for issue in issues if issue.growing or not comparable or len(issue.rows) >= LEAST_COMPARED]
    return tuple(sorted(kept, key=lambda issue: not issue.growing)[:_HOT])


def _tells_sentiment(table: FeedbackTable) -> bool:
    return "sentiment" in table.labels or bool({"sentiment_p_negative", "satisfaction"} & set(table.numbers))


def _share(table: FeedbackTable, of_week: Any, what: str) -> Share:
    held = is_grave(table) if what == "grave" else table.negative >= 0.5
    return Share(int((held & of_week).sum()), int(of_week.sum()))


def _alone(recent: FeedbackTable, week: Week, issues: tuple[Issue, ...]) -> int:
    if "urgency" not in recent.labels:
        return 0
    left = recent.labels["urgency"].is_value("critical") & rows_of(recent.days, week.period)
    for issue in issues:
        left[issue.rows] = False
    return int(left.sum())
