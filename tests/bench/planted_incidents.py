"""Planted incidents: how many are found on their first day, how many alerts are false, how often the cause is right.

python -m tests.bench.planted_incidents SCORED.parquet [--seeds 3] [--slow] [--failures]

SCORED: comments scored by `fankui score`; their texts and labels make the stream, their times and attributes do not.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from pipeline.insights.alert_rules import AlertRule, Metric
from pipeline.insights.alerts import Alert, find_alerts
from pipeline.insights.causes import Causes
from pipeline.insights.read_table import ReadOptions, read_table
from pipeline.insights.series import membership
from pipeline.insights.terms import read_terms
from pipeline.readers import open_file
from pipeline.schema import load_schema
from tests.bench.planted_stream import Planted, Stream, stream

RULE = AlertRule("incident", Metric.INCIDENT)
SLOW = AlertRule("slow incident", Metric.INCIDENT, days=7, cool_down=7, least=7)


@dataclass
class Tally:
    """Counts over one or more streams."""

    planted: int = 0
    found: int = 0
    alerts: int = 0
    false: int = 0
    cause_first: int = 0

    def add(self, other: "Tally") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def __str__(self) -> str:
        return (
            f"found in time {self.found} of {self.planted}; false alerts {self.false} of {self.alerts}; "
            f"planted cause named first {self.cause_first} of {self.planted}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tally of every stream and of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.planted_incidents", description=__doc__)
    parser.add_argument("scored", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=date.fromisoformat, default=date(2025, 3, 1))
    parser.add_argument("--slow", action="store_true", help="two or three comments a day for two weeks each")
    parser.add_argument("--failures", action="store_true")
    options = parser.parse_args(arguments)
    console = Console()
    reading = ReadOptions(load_schema(), ZoneInfo("Asia/Shanghai"), attributes=())
    pool, _ = read_table([open_file(options.scored)], reading)
    total = Tally()
    for seed in range(options.seeds):
        planted = stream(pool, seed=seed, first=options.first, slow=options.slow)
        found, failures = judged(planted, [RULE, SLOW] if options.slow else [RULE])
        total.add(found)
        console.print(Text(f"seed {seed}: {found}"))
        for failure in failures if options.failures else ():
            console.print(Text(f"  {failure}"))
    console.print(Text(f"all: {total}", style="bold"))


def judged(found: Stream, rules: Sequence[AlertRule]) -> tuple[Tally, list[str]]:
    """The tally of a stream, and what went wrong."""
    terms = read_terms(found.table.texts)
    members = membership(found.table, terms)
    alerts = find_alerts(found.table, members, rules, first=found.days[0], last=found.days[-1])
    tally, failures = Tally(planted=len(found.planted), alerts=len(alerts)), []
    for alert in alerts:
        if not any(_about(found, alert, planted) for planted in found.planted):
            tally.false += 1
            failures.append(f"false: {alert.rule}, {alert.day} {alert.signs[:3]}")
    for planted in found.planted:
        hit = next(
            (one for one in alerts if planted.day <= one.day <= planted.until and _about(found, one, planted)), None
        )
        tally.found += hit is not None
        right = hit is not None and names_cause(hit.causes, planted)
        tally.cause_first += right
        if hit is None:
            failures.append(f"missed: {planted.kind.name}, {planted.share:.1%}")
        elif not right:
            first = hit.causes.first
            failures.append(f"cause: {planted.kind.name} {planted.kind.cause}, named {first and first.series.name}")
    return tally, failures


def _about(found: Stream, alert: Alert, planted: Planted) -> bool:
    """Whether at least half of an alert's comments are of a planted incident."""
    hits = sum(found.table.ids[i] in planted.ids for i in alert.rows)
    return hits >= len(alert.rows) / 2


def names_cause(causes: Causes, planted: Planted) -> bool:
    """Whether the first cause is the planted one: all its attributes; where words alone tell, one of its words."""
    first = causes.first
    if first is None:
        return False
    if planted.kind.cause:
        return dict(first.series.parts) == planted.kind.cause
    return any(value in telling for _, value in first.series.parts for telling in planted.kind.tellings)


if __name__ == "__main__":
    main()
