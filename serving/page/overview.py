"""The figures of the page as JSON: tiles of now, desks, and counts over time. Pure but for the queries that it asks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from pipeline.schema import LabelSchema
from serving.page.panels import InsightSource, panels
from serving.store import figures
from serving.store.figures import Cell, Slice

SOON = timedelta(hours=1)
"""What is due within it is due soon."""

WEEKS = 4
"""Same weekdays before today that today is compared with."""


@dataclass(frozen=True, slots=True)
class Span:
    """How far back the page looks, and in which steps."""

    name: str
    days: int
    hours: int  # of one step


SPANS = {span.name: span for span in (Span("24h", 1, 1), Span("7d", 7, 6), Span("30d", 30, 24), Span("90d", 90, 24))}


def overview(
    connection: Any,
    part: Slice,
    *,
    span: Span,
    schema: LabelSchema,
    zone: tzinfo,
    now: datetime,
    insights: InsightSource | None = None,
) -> dict[str, Any]:
    """Everything above the list: {now, tiles, desks, channels, series, panels}."""
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = _beginning(now, midnight, span)
    window = replace(part, begin=begin, end=now + timedelta(seconds=1))
    cells = figures.over_time(connection, window, hours=span.hours, zone=zone)
    starts = figures.stretches(begin, now + timedelta(microseconds=1), hours=span.hours, zone=zone)
    desks = figures.desks(connection, part, now=now, soon=SOON)
    return {
        "now": now.isoformat(),
        "span": span.name,
        "hours": span.hours,
        "tiles": {
            "open": sum(desk.open for desk in desks),
            "due_soon": sum(desk.due_soon for desk in desks),
            "overdue": sum(desk.overdue for desk in desks),
            **_today(connection, part, midnight=midnight, now=now, schema=schema),
        },
        "desks": [asdict(desk) for desk in desks],
        "channels": figures.channels(connection, replace(window, channel=None)),
        "series": series(cells, starts, schema),
        "panels": panels(insights, connection, window, hours=span.hours),
    }


def series(cells: Iterable[Cell], starts: Sequence[datetime], schema: LabelSchema) -> dict[str, Any]:
    """Counts by step: `starts` (wall clock), and for every task of the page its labels' counts, in schema order."""
    place = {start: i for i, start in enumerate(starts)}
    counted: dict[str, Counter[tuple[str, int]]] = {task: Counter() for task in ("sentiment", "urgency", "category")}
    for cell in cells:
        i = place.get(cell.start)
        if i is None:
            continue
        for task, found in counted.items():
            label = getattr(cell, task)
            if label is not None:
                found[label, i] += cell.count
    return {
        "starts": [start.isoformat(timespec="minutes") for start in starts],
        **{
            task: {key: [found[key, i] for i in range(len(starts))] for key in _keys(schema, task)}
            for task, found in counted.items()
        },
    }


def alerting(schema: LabelSchema) -> tuple[str, ...]:
    """Levels of urgency that alert: high and critical of the shipped schema."""
    return tuple(label.key for task in schema.tasks if task.name == "urgency" for label in task.labels if label.alert)


def _today(connection: Any, part: Slice, *, midnight: datetime, now: datetime, schema: LabelSchema) -> dict[str, Any]:
    today = figures.by_label(connection, replace(part, begin=midnight, end=now + timedelta(seconds=1)))
    week = figures.by_label(connection, replace(part, begin=midnight - timedelta(days=7), end=midnight))
    levels = alerting(schema)
    grave = {level: sum(count for _, urgency, count in today if urgency == level) for level in levels}
    return {
        "today": sum(count for *_, count in today),
        "usual": _usual(connection, part, midnight=midnight, now=now),
        "negative": _share(today),
        "negative_week": _share(week),
        "grave": sum(grave.values()),
        "grave_by_level": grave,
    }


def _usual(connection: Any, part: Slice, *, midnight: datetime, now: datetime) -> dict[str, Any] | None:
    """Mean of the same weekdays before, up to the same time of day; None where there was none yet."""
    first = figures.first_written(connection)
    counts = []
    for weeks in range(1, WEEKS + 1):
        back = timedelta(weeks=weeks)
        if first is not None and first <= midnight - back:
            counts.append(figures.total(connection, replace(part, begin=midnight - back, end=now - back)))
    return {"mean": sum(counts) / len(counts), "weeks": len(counts)} if counts else None


def _share(counts: Iterable[tuple[str | None, str | None, int]]) -> dict[str, Any]:
    """How many of those whose sentiment is known are negative."""
    known: Counter[str] = Counter()
    for sentiment, _, count in counts:
        if sentiment is not None:
            known[sentiment] += count
    total = sum(known.values())
    negative = known["negative"]
    return {"count": negative, "of": total, "share": negative / total if total else None}


def _beginning(now: datetime, midnight: datetime, span: Span) -> datetime:
    if span.days > 1:
        return midnight - timedelta(days=span.days - 1)
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)


def _keys(schema: LabelSchema, task: str) -> tuple[str, ...]:
    return next((found.keys for found in schema.tasks if found.name == task), ())
