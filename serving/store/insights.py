"""What was found in the stored feedback: alerts, each kept once, and the last findings for the page.

Neither holds text. Of a comment there is its id, of an alert's causes the words and values that name them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from serving.store import events
from serving.store.inserting import insert_new
from serving.store.tables import alerts, feedback, findings

_NAME = "latest"
_IDS = 200  # comments that an alert names
_EVENT_IDS = 10


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert as pipeline/insights/alerts.py gives it as JSON, and for how many days its rule is silent then."""

    found: Mapping[str, Any]
    cool_down: int

    @property
    def id(self) -> str:
        parts = "\n".join((self.found["rule"], self.found["day"], *self.found["signs"][:1]))
        return f"alt_{hashlib.sha256(parts.encode()).hexdigest()[:32]}"


def save_alert(connection: Connection, fired: Fired, *, now: datetime) -> bool:
    """Keep an alert and its event; False where it is known, or its rule still silent about this matter."""
    alert = fired.found
    day = date.fromisoformat(alert["day"])
    first = str(day - timedelta(days=fired.cool_down))
    before = select(alerts.c.signs).where(alerts.c.rule == alert["rule"], alerts.c.day >= first)
    signs = set(alert["signs"])
    for (known,) in connection.execute(before.where(alerts.c.day <= alert["day"])):
        # A rule that names no incident is silent as a whole; one that does, about those of which it has told.
        if not signs or signs & set(known):
            return False
    row = {
        "id": fired.id,
        "rule": alert["rule"],
        "day": alert["day"],
        "fired_at": now,
        "value": alert["value"],
        "expected": alert["expected"],
        "messages": alert["messages"],
        "signs": list(alert["signs"]),
        "causes": alert["causes"],
        "feedback_ids": list(alert["ids"])[:_IDS],
    }
    if not insert_new(connection, alerts, row):
        return False
    data = {name: row[name] for name in ("rule", "day", "value", "expected", "messages", "signs", "causes")}
    data |= {"alert_id": fired.id, "feedback_ids": row["feedback_ids"][:_EVENT_IDS]}
    return events.record(connection, events.Event(events.ALERT, fired.id, data, now))


def list_alerts(connection: Connection, *, limit: int, since: str | None = None) -> list[Row[Any]]:
    """The latest first. `since`: a day such as 2026-09-30."""
    found = select(alerts).order_by(alerts.c.day.desc(), alerts.c.fired_at.desc(), alerts.c.id).limit(limit)
    return list(connection.execute(found if since is None else found.where(alerts.c.day >= since)))


def members_of(connection: Connection, id: str) -> list[str]:  # noqa: A002
    """Ids of the comments that an alert is about; none where there is no such alert."""
    found: list[str] | None = connection.scalar(select(alerts.c.feedback_ids).where(alerts.c.id == id))
    return found or []


def save_findings(connection: Connection, found: Mapping[str, Any], *, now: datetime) -> None:
    """Keep what the page shows in place of what was found before."""
    row = {"name": _NAME, "made_at": now, "found": dict(found)}
    if not insert_new(connection, findings, row):
        connection.execute(update(findings).where(findings.c.name == _NAME).values(made_at=now, found=dict(found)))


def last_findings(connection: Connection) -> Row[Any] | None:
    """(made_at, found), or None where nobody has looked yet."""
    rows: list[Row[Any]] = list(connection.execute(select(findings.c.made_at, findings.c.found)))
    return rows[0] if rows else None


def last_change(connection: Connection) -> datetime | None:
    """When the newest comment came in."""
    found: datetime | None = connection.scalar(select(func.max(feedback.c.received_at)))
    return found


def texts_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Id -> masked text, of those that have not been erased."""
    wanted = select(feedback.c.id, feedback.c.text).where(feedback.c.id.in_(ids), feedback.c.erased_at.is_(None))
    return {row.id: row.text for row in connection.execute(wanted)}
