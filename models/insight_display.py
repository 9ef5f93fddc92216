"""What `fankui insights` finds, as people read it in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_CERTAIN = 15  # changes that are shown
_ALSO = 3  # changes that are named beside the one they are told with
_SHOWN_IDS = 5
_BARS = "▁▂▃▄▅▆▇█"


def show_topics(body: Mapping[str, Any]) -> None:
    """Print topics, hot issues and frequent phrases."""
    console = Console()
    table = _table("Topics", "id", "topic", "messages", "hotness", "negative", "urgent")
    for topic in body["topics"]:
        name = "、".join(phrase["text"] for phrase in topic["phrases"]) or "?"
        told = Text(name).append("  new" if topic["new"] else "", style="dim")
        percents = [f"{topic[part]:.0%}" for part in ("negative", "urgency")]
        table.add_row(
            topic["id"], told, f"{topic['messages']:,} ({topic['share']:.0%})", f"{topic['hotness']:.0f}", *percents
        )
    if body["topics"]:
        console.print(table)
    else:
        console.print(Text(f"No topics: {body['why_no_topics']}.", style="yellow"))
    if body["hot_issues"]:
        console.print(Text("Hot issues", style="italic"))
    for place, issue in enumerate(body["hot_issues"], 1):
        days = f"{issue['first_day'] or '?'} to {issue['last_day'] or '?'}"
        votes = f", {issue['votes']:,} votes" if issue["votes"] else ""
        where = f", {issue['place']}" if issue["place"] else ""
        counts = f"{issue['messages']:,} messages{votes}, {days}{where}, hotness {issue['hotness']:.0f}"
        console.print(Text(f"{place:>2}  ").append("、".join(issue["phrases"]), style="bold"))
        console.print(Text(f"    {counts}"))
        console.print(Text(f"    “{issue['quote']}” {_ids(issue['ids'])}", style="dim"))
    frequent = "  ".join(f"{phrase['text']} {phrase['messages']:,}" for phrase in body["frequent"][:30])
    if frequent:
        console.print(Text("Frequent: ", style="bold").append(Text(frequent, style="not bold")))


def show_trends(body: Mapping[str, Any]) -> None:
    """Print changes, incidents of the last day, and the forecast."""
    console = Console()
    before, now = (f"{body[name]['first']} … {body[name]['last']}" for name in ("before", "now"))
    certain = [change for change in body["changes"] if change["certain"]]
    table = _table(f"Changes, {before} against {now}", "what", "before", "now", "share", "times (95 %)")
    for change in certain[:_CERTAIN]:
        shares = f"{change['share_before']:.1%} → {change['share_now']:.1%}"
        ratio = Text(_ratio(change), style="red" if change["ratio"] > 1 else "green")
        what = Text(change["series"])
        if change["also"]:
            more = len(change["also"]) - _ALSO
            also = "、".join(change["also"][:_ALSO]) + (f" and {more} more" if more > 0 else "")
            what.append(f"\nalso {also}", style="dim")
        table.add_row(what, f"{change['before']:,}", f"{change['now']:,}", shares, ratio)
    if certain:
        console.print(table)
    else:
        console.print(f"No certain change, {before} against {now}.")
    _incidents(console, body["incidents"], body["now"]["last"])
    _forecast(console, body["forecast"])


def _ratio(change: Mapping[str, Any]) -> str:
    """Of a change from nothing only how much it is at least: the rest is no number that was measured."""
    low, high = change["interval"]
    if not change["before"]:
        return f"new, at least {_rounded(low)}"
    return f"{_rounded(change['ratio'])} ({_rounded(low)} to {_rounded(high)})"


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}" if number >= 1 else f"{number:.2f}"


def show_causes(body: Mapping[str, Any]) -> None:
    """Print causes, the fishbone and examples."""
    console = Console()
    first = body["causes"]["first"]
    console.print(
        Text(f"{body['messages']:,} comments against {body['compared_with']:,}: ").append(
            f"{first} stands out" if first else "nothing stands out", style="bold"
        )
    )
    _causes(console, body["causes"])
    table = _table("Fishbone", "", "messages", "share", "elsewhere", "words")
    for bone in body["fishbone"]:
        words = Text("、".join(bone["words"]))
        table.add_row(
            f"{bone['zh']} {bone['bone']}",
            f"{bone['messages']:,}",
            f"{bone['share']:.0%}",
            f"{bone['rest_share']:.0%}",
            words,
        )
    console.print(table)
    _examples(console, body["examples"])


def show_alerts(body: Mapping[str, Any]) -> None:
    """Print every alert with its first causes."""
    console = Console()
    for name, why in body["rules_left_out"].items():
        console.print(Text(f"rule {name} left out: {why}", style="yellow"))
    if not body["alerts"]:
        console.print(Text("no alert", style="green"))
    for alert in body["alerts"]:
        expected = "" if alert["expected"] is None else f", {alert['expected']:.1f} expected"
        console.print(Text(f"{alert['day']}  {alert['rule']}: {alert['value']:g}{expected}", style="bold red"))
        if alert["signs"]:
            console.print(Text("  signs: " + "、".join(alert["signs"][:6])))
        first = alert["causes"]["first"]
        console.print(Text(f"  cause: {first}" if first else "  cause: none stands out"))
        _examples(console, alert["examples"])


def show_similar(body: Mapping[str, Any]) -> None:
    """Print the nearest comments."""
    console = Console()
    answered = any("answer" in one for one in body["similar"])
    table = _table(
        f"{body['id'] or 'like'}: {body['text']}", "id", "likeness", "text", *(["answer"] if answered else [])
    )
    for one in body["similar"]:
        answer = [Text(one.get("answer", ""))] if answered else []
        table.add_row(Text(one["id"]), f"{one['likeness']:.2f}", Text(one["text"]), *answer)
    console.print(table)


def _incidents(console: Console, incidents: Any, day: str) -> None:
    if isinstance(incidents, Mapping):
        console.print(Text(f"No look for incidents: {incidents['error']['message']}", style="yellow"))
        return
    if not incidents:
        console.print(f"No incident on {day}.")
    for incident in incidents:
        console.print(
            Text(f"{day}: {incident['messages']} comments about {'、'.join(incident['signs'][:5])}", style="bold red")
        )
        _causes(console, incident["causes"], most=3)
        _examples(console, incident["examples"])


def _forecast(console: Console, found: Mapping[str, Any]) -> None:
    if "error" in found:
        console.print(Text(f"No forecast: {found['error']['message']}", style="yellow"))
        return
    test = found["backtest"]
    top = max(day["upper"] for day in found["days"]) or 1
    table = _table("Forecast", "day", "expected", f"{test['nominal']:.0%} interval", "")
    for day in found["days"]:
        bar = _BARS[min(len(_BARS) - 1, int(len(_BARS) * day["expected"] / top))]
        table.add_row(day["day"], f"{day['expected']:,.0f}", f"{day['lower']:,.0f} to {day['upper']:,.0f}", bar)
    console.print(table)
    if test["covered"] is not None:
        errors = f"; mean error {test['error']:.0%}, last week's same day {test['naive_error']:.0%}"
        console.print(f"Tried on the last {test['days']} days: {test['covered']:.0%} lay within the interval{errors}.")


def _causes(console: Console, causes: Mapping[str, Any], *, most: int = 8) -> None:
    for kind, title in (("where", "Where from"), ("what", "What they say")):
        if causes[kind]:
            table = _table(title, "", "messages", "share", "elsewhere", "odds ratio (95 %)", "q")
            for cause in causes[kind][:most]:
                low, high = cause["interval"]
                odds = f"{_rounded(cause['odds_ratio'])} ({_rounded(low)} to {_rounded(high)})"
                shares = [f"{cause['share']:.0%}", f"{cause['rest_share']:.1%}"]
                table.add_row(Text(cause["cause"]), f"{cause['messages']:,}", *shares, odds, f"{cause['q_value']:.1g}")
            console.print(table)


def _examples(console: Console, found: Sequence[Mapping[str, str]]) -> None:
    for one in found:
        console.print(Text(f"  “{one['text']}”", style="dim").append(f" {one['id']}", style="dim"))


def _ids(ids: Sequence[str]) -> str:
    more = f" … {len(ids) - _SHOWN_IDS:,} more" if len(ids) > _SHOWN_IDS else ""
    return ", ".join(ids[:_SHOWN_IDS]) + more


def _table(title: str, *columns: str) -> Table:
    table = Table(title=Text(title), title_justify="left", box=None, header_style="dim", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
