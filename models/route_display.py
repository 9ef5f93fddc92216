"""What `fankui route` finds, as people read it in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.score_display import show_answer
from pipeline.feedback import Prediction
from pipeline.routing_backtest import Backtest, Misroutes
from pipeline.routing_explain import DueTrace, Explanation, RuleTrace
from pipeline.routing_lint import Finding
from pipeline.schema import LabelSchema

_SEVERITIES = {"error": "red", "warning": "yellow", "note": "dim"}
_BARS = " ▁▂▃▄▅▆▇█"
_HOURS = "0 h … 23 h"


def show_findings(found: Sequence[Finding]) -> None:
    """Print all findings as one table, or that there are none."""
    console = Console()
    if not found:
        console.print(Text("nothing found", style="green"))
        return
    table = _table("Findings", "", "where", "what")
    for one in found:
        severity = Text(one.severity, style=_SEVERITIES[one.severity])
        table.add_row(severity, Text(one.where), Text(one.message).append(f" ({one.code})", style="dim"))
    console.print(table)


def show_explanation(schema: LabelSchema, text: str, prediction: Prediction, found: Explanation) -> None:
    """Print the answer and what led to it."""
    console = Console()
    show_answer(console, schema, text, prediction, decision=found.decision)
    if found.rules:
        console.print(_rules(found.rules))
    lines = Table.grid(padding=(0, 2))
    lines.add_row("flags", Text(", ".join(found.flags) or "none"))
    lines.add_row("due", Text(_due(found.due)))
    for one in found.certainties:
        told = f"{one.label} {one.probability:.1%}; auto from {_share(one.auto)}, suggest from {_share(one.suggest)}"
        lines.add_row(f"certainty of {one.task}", Text(told))
    console.print(lines)


def show_backtest(found: Backtest, *, failed: int) -> None:
    """Print volume, service and misroutes."""
    console = Console()
    console.print(
        f"{found.comments:,} comments decided, {failed:,} rows not usable, {found.undated:,} comments without a time"
    )
    table = _table("Volume", "queue", "comments", "auto", "suggest", "review", "busiest hour")
    for load in found.loads:
        peak = f"{load.peak:,} {load.peak_at[:16].replace('T', ' ')}" if load.peak_at else ""
        zones = [f"{load.zones[zone]:,}" for zone in ("auto", "suggest", "review")]
        table.add_row(Text(load.queue), f"{load.comments:,}", *zones, peak)
    console.print(table)
    table = _table("Hours of the day", "queue", _HOURS)
    for load in found.loads:
        table.add_row(Text(load.queue), _bars(load.hours))
    console.print(table)
    table = _table("Due times", "queue", "dated", "capacity", "too late", "share", "worst", "needed")
    for one in found.services:
        if one.capacity is None or one.breaches is None:
            table.add_row(Text(one.queue), f"{one.dated:,}", "", "", "", "", f"{one.needed:,}/h")
            continue
        worst = f"{one.worst_minutes:,.0f} min" if one.worst_minutes else ""
        share = f"{one.breaches / one.dated:.1%}" if one.dated else ""
        given = f"{one.capacity:g}/h"
        table.add_row(Text(one.queue), f"{one.dated:,}", given, f"{one.breaches:,}", share, worst, f"{one.needed:,}/h")
    console.print(table)
    if found.misroutes is not None:
        _show_misroutes(console, found.misroutes)


def _show_misroutes(console: Console, found: Misroutes) -> None:
    zones = ", ".join(f"{zone} {count:,}" for zone, count in found.by_zone.items())
    console.print(
        f"wrong queue: {found.wrong:,} of {found.labelled:,} labelled ({found.wrong / found.labelled:.1%}; {zones}), "
        f"{found.cost_minutes / 60:,.1f} h of handling; due too late: {found.too_late:,}, "
        f"by {found.late_minutes / 60:,.1f} h together"
    )
    if found.confusions:
        table = _table("Wrong queues", "right", "given", "comments")
        for right, given, count in found.confusions:
            table.add_row(Text(right), Text(given), f"{count:,}")
        console.print(table)


def _rules(rules: Sequence[RuleTrace]) -> Table:
    table = _table("Rules", "rule", "", "asks", "finds")
    for rule in rules:
        state = Text("applies", style="green") if rule.applies else Text("fires, not first", style="yellow")
        name, state = rule.name, state if rule.fires else Text("no", style="dim")
        for asked in rule.conditions or (None,):
            if asked is None:
                table.add_row(name, state, "every comment", "")
            else:
                mark = Text("✓ " if asked.holds else "✗ ", style="green" if asked.holds else "red")
                words = f"unless {asked.asks}" if asked.part == "unless" else asked.asks
                table.add_row(name, state, mark + Text(words), Text(asked.found))
            name, state = "", Text("")
    return table


def _due(due: DueTrace | None) -> str:
    if due is None:
        return "none"
    how = " around the clock" if due.calendar is None else f" of working time (calendar {due.calendar})"
    hours = "; ".join(f"{day} {spans}" for day, spans in due.hours.items() if spans)
    return f"{due.minutes:g} min{how} from {due.starts_at:%Y-%m-%d %H:%M %Z}" + (f": {hours}" if hours else "")


def _share(least: float) -> str:
    return "never" if least > 1 else f"{least:.0%}"


def _bars(hours: Sequence[int]) -> str:
    most = max(hours, default=0)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in hours) if most else ""


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", min_width=len(title))
    numbers = ("comments", "auto", "suggest", "review", "dated", "capacity", "too late", "share", "worst", "needed")
    for head in heads:
        table.add_column(head, justify="right" if head in numbers else "left", overflow="fold", no_wrap=head == _HOURS)
    return table
