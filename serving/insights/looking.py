"""One look at the stored feedback, in a process of its own: alerts, hot issues, and what is to be expected.

`python -m serving.insights.looking`, started by serving/insights/watching.py, which says on standard input what to look
at. So the server's threads have nothing to do with it, its memory goes when it ends, and it has a low priority.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.errors import DataError, FeedbackError
from pipeline.insights.alert_rules import AlertRule, load_rules
from pipeline.insights.alerts import Alert, find_alerts, fitting
from pipeline.insights.forecasts import forecast
from pipeline.insights.groups import find_groups
from pipeline.insights.hot_issues import HotIssue, hot_issues
from pipeline.insights.seasons import daily_counts
from pipeline.insights.series import membership
from pipeline.insights.table import FeedbackTable
from pipeline.insights.terms import Terms, read_terms
from pipeline.resources import shipped
from pipeline.schema import LabelSchema, schema_from_dict
from serving.insights.stored_table import stored_table
from serving.store import insights as store
from serving.store.database import Database, open_database
from serving.store.insights import Fired

_RECENT_DAYS = 14  # of which hot issues are drawn
_SHOWN = 12
_IDS = 200  # comments of an issue that the page can list
_AHEAD = 14
_NICE = 10  # a tenth of a core where the server keeps all of them busy; at 19 a look took minutes there, an alert too


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be looked at."""

    store: str
    schema: Mapping[str, Any]
    zone: str
    rules: str | None  # None: the shipped ones
    days: int  # of history
    most: int  # comments


def main() -> None:
    """Read what is wanted, look, keep what was found; the last line of standard output says what became of it."""
    with suppress(OSError):
        os.nice(_NICE)
    wanted = Wanted(**json.load(sys.stdin))
    database = open_database(wanted.store, timeout=30.0)
    try:
        told = look(database, wanted, now=datetime.now(UTC))
    except FeedbackError as error:
        told = {"error": error.code}
    finally:
        database.close()
    sys.stdout.write(json.dumps(told) + "\n")


def look(database: Database, wanted: Wanted, *, now: datetime) -> dict[str, Any]:
    """Find and keep. Returns {rows, alerts: rules of the new ones, left_out: rules that could not be evaluated}.

    Raises DataError `no_rows`, StoreError, ConfigError.
    """
    rules = load_rules(shipped("data", "alerts.toml") if wanted.rules is None else Path(wanted.rules))
    schema: LabelSchema = schema_from_dict(wanted.schema)
    zone = ZoneInfo(wanted.zone)
    since = now - timedelta(days=wanted.days)
    table = database.read(
        lambda connection: stored_table(connection, schema=schema, zone=zone, since=since, most=wanted.most)
    )
    today = now.astimezone(zone).date()
    usable, lacking = fitting(table, rules)
    terms = read_terms(table.texts)
    found = _alerts(table, terms, usable, today)
    cool_down = {rule.name: rule.cool_down for rule in rules}
    issues = _hot_issues(table, terms, today)
    findings = {"rows": len(table), "hot_issues": issues, "forecast": _forecast(table, today)}

    def keep(connection: Any) -> list[str]:
        new = []
        for alert in found:
            fired = Fired(alert.to_dict(table), cool_down[alert.rule])
            if store.save_alert(connection, fired, now=now):
                new.append(alert.rule)
        store.save_findings(connection, findings, now=now)
        return new

    return {"rows": len(table), "alerts": database.write(keep), "left_out": sorted(lacking)}


def _alerts(table: FeedbackTable, terms: Terms, rules: Sequence[AlertRule], today: date) -> list[Alert]:
    """Of yesterday and of today so far; that too little came in is told of whole days alone."""
    members = membership(table, terms)
    last = table.known_days.max().astype(object)
    whole = [rule for rule in rules if rule.below is not None]
    running = [rule for rule in rules if rule.below is None]
    yesterday = today - timedelta(days=1)
    found: list[Alert] = []
    for part, end in ((running, min(last, today)), (whole, min(last, yesterday))):
        found += find_alerts(table, members, part, first=min(end, yesterday), last=end) if part else []
    return sorted(found, key=lambda alert: alert.day)


def _hot_issues(table: FeedbackTable, terms: Terms, today: date) -> list[dict[str, Any]]:
    """Of the last days, the hottest first; `quote_id` names the comment that speaks for the others."""
    recent = np.flatnonzero(table.days > np.datetime64(today - timedelta(days=_RECENT_DAYS)))
    part = table.take(recent)
    of_part = read_terms(part.texts) if len(part) < len(table) else terms
    found = hot_issues(part, of_part, find_groups(part, of_part))[:_SHOWN]
    return [_issue(part, issue) for issue in found]


def _issue(table: FeedbackTable, issue: HotIssue) -> dict[str, Any]:
    told = issue.to_dict(table, ids=False)
    told.pop("quote")  # the page reads it from the comment, which may have been erased since
    found = table.labels["category"].commonest(issue.group.rows) if "category" in table.labels else None
    category = None if found is None else found[0]
    center = table.ids[issue.group.center]
    return told | {"category": category, "quote_id": center, "ids": [table.ids[i] for i in issue.group.rows[:_IDS]]}


def _forecast(table: FeedbackTable, today: date) -> list[dict[str, Any]]:
    """From whole days; empty where there are too few."""
    whole = table.days[table.days < np.datetime64(today)]  # NaT is not
    try:
        return list(forecast(daily_counts(whole), ahead=_AHEAD).to_dict()["days"])
    except DataError:
        return []


if __name__ == "__main__":
    main()
