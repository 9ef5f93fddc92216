"""Where insights (hot issues, forecasts, alerts) come onto the page. A panel without data is not shown.

A source reads what was found, and does not look for it here: its methods run inside a read of the store, within the
time of a request.

| method | in | out |
|---|---|---|
| hot_issues | the comments of a slice | one HotIssue a topic, the hottest first; the page shows 12 |
| forecast | likewise, and the hours of a step | one ForecastPoint a step after the last one, in order |
| alerts | likewise | one FiredAlert each that has not ended, the newest first |
| members | `alert` or `issue` and its id | the ids of its comments, for the list |
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Protocol

from serving.store.figures import Slice

_SHOWN = 12


Cause = tuple[tuple[str, str], ...]
"""(name, value) of all that comments have in common: ("shop", "S07"), ("category", "refund"), ("term", "漏水")."""


@dataclass(frozen=True, slots=True)
class HotIssue:
    """A topic of the hot-issue map."""

    id: str  # stays the topic's own when data are added
    name: str  # its key phrases
    size: int  # comments
    hotness: float  # 0 to 1
    growth: float | None  # against the time before: 0.5 is half as many again; None for a new one
    negative: float | None  # share
    quote: str  # masked
    category: str | None = None  # most frequent; a click filters by it


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    """Comments that are expected in one step to come."""

    start: datetime  # wall clock, as the steps of the series
    expected: float
    low: float  # of the interval
    high: float


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """A rule that fired."""

    id: str
    name: str
    day: date  # the last one of what it was found in
    messages: int
    value: float
    expected: float | None  # None for a rule with a threshold
    causes: tuple[Cause, ...] = ()  # the likeliest first


class InsightSource(Protocol):
    """What the page asks; `application.state.board.insights` is one, or None."""

    def hot_issues(self, connection: Any, part: Slice) -> Sequence[HotIssue]: ...

    def forecast(self, connection: Any, part: Slice, *, hours: int) -> Sequence[ForecastPoint]: ...

    def alerts(self, connection: Any, part: Slice) -> Sequence[FiredAlert]: ...

    def members(self, connection: Any, kind: str, id: str) -> Sequence[str]: ...  # noqa: A002


def panels(source: InsightSource | None, connection: Any, part: Slice, *, hours: int) -> dict[str, list[Any]]:
    """The panels that have data, by name, as JSON has them."""
    if source is None:
        return {}
    found: dict[str, Sequence[Any]] = {
        "hot_issues": source.hot_issues(connection, part)[:_SHOWN],
        "forecast": source.forecast(connection, part, hours=hours),
        "alerts": source.alerts(connection, part),
    }
    return {name: [_plain(entry) for entry in entries] for name, entries in found.items() if entries}


def _plain(entry: Any) -> dict[str, Any]:
    plain = asdict(entry)
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in plain.items()}
