"""What was found, as the page shows it: serving/page/panels.py asks, the last look answers."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from pipeline.insights.quotes import quote
from serving.page.panels import Cause, FiredAlert, ForecastPoint, HotIssue
from serving.store import insights
from serving.store.figures import Slice

_ALERT_DAYS = 7
_ALERTS = 20
_CAUSES = 3
_NEW_DAYS = 7


class FoundInsights:
    """An InsightSource. Issues and forecast are of all comments, so that a slice by queue or channel has none."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def hot_issues(self, connection: Any, part: Slice) -> Sequence[HotIssue]:
        found = self._found(connection, part)
        issues = found.get("hot_issues", [])
        texts = insights.texts_of(connection, [issue["quote_id"] for issue in issues])
        today = datetime.now(UTC).astimezone(self._zone).date()
        return [
            HotIssue(
                id=issue["quote_id"],
                name="、".join(issue["phrases"][:3]),
                size=issue["messages"],
                hotness=issue["hotness"] / 100,
                growth=_growth(issue, today),
                negative=issue["negative"],
                quote=quote(texts[issue["quote_id"]]),
                category=issue["category"],
            )
            for issue in issues
            if issue["quote_id"] in texts
        ]

    def forecast(self, connection: Any, part: Slice, *, hours: int) -> Sequence[ForecastPoint]:
        if hours != 24:
            return []
        today = datetime.now(UTC).astimezone(self._zone).date()
        points = [
            (date.fromisoformat(point["day"]), point) for point in self._found(connection, part).get("forecast", [])
        ]
        return [
            ForecastPoint(datetime.combine(day, datetime.min.time()), point["expected"], point["lower"], point["upper"])
            for day, point in points
            if day > today
        ]

    def alerts(self, connection: Any, part: Slice) -> Sequence[FiredAlert]:  # noqa: ARG002  (of the whole)
        since = str((datetime.now(UTC).astimezone(self._zone) - timedelta(days=_ALERT_DAYS)).date())
        return [
            FiredAlert(
                id=row.id,
                name=row.rule,
                day=date.fromisoformat(row.day),
                messages=row.messages,
                value=row.value,
                expected=row.expected,
                causes=_causes(row.causes),
            )
            for row in insights.list_alerts(connection, limit=_ALERTS, since=since)
        ]

    def members(self, connection: Any, kind: str, id: str) -> Sequence[str]:  # noqa: A002
        if kind == "alert":
            return insights.members_of(connection, id)
        found = self._found(connection, Slice()).get("hot_issues", [])
        return next((issue["ids"] for issue in found if issue["quote_id"] == id), [])

    @staticmethod
    def _found(connection: Any, part: Slice) -> dict[str, Any]:
        if any((part.queue, part.category, part.urgency, part.channel)):
            return {}
        row = insights.last_findings(connection)
        return {} if row is None else dict(row.found)


def _causes(causes: dict[str, Sequence[dict[str, Any]]]) -> tuple[Cause, ...]:
    """Where before what, the likeliest first."""
    named = (*causes["where"], *causes["what"])[:_CAUSES]
    return tuple(tuple((part["name"], part["value"]) for part in cause["parts"]) for cause in named)


def _growth(issue: dict[str, Any], today: date) -> float | None:
    """Of the last week against the time before; None for an issue that began in it."""
    if issue["first_day"] is None or date.fromisoformat(issue["first_day"]) > today - timedelta(days=_NEW_DAYS):
        return None
    recent = min(float(issue["growth"]), 0.99)  # pipeline/insights/hotness.py: 0.5 where both are equal
    return recent / (1.0 - recent) - 1.0
