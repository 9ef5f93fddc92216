"""serving/insights/looking.py: alerts are found, kept once, told with their causes and without text."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from pipeline.schema import LabelSchema
from serving.insights.looking import Wanted, look
from serving.insights.panels import FoundInsights
from serving.store import insights
from serving.store.database import Database
from serving.store.figures import Slice
from serving.store.tables import events, feedback
from tests.serving.insights.conftest import INCIDENT, NOW


@pytest.fixture
def wanted(schema: LabelSchema, tmp_path: Path) -> Wanted:
    return Wanted(store="", schema=schema.to_dict(), zone="Asia/Shanghai", rules=None, days=90, most=100_000)


def _events(database: Database) -> list[Any]:
    return database.read(
        lambda connection: list(connection.execute(select(events).where(events.c.type == "insight.alert")))
    )


def test_an_incident_is_an_alert_with_its_cause_once(database: Database, wanted: Wanted) -> None:
    told = look(database, wanted, now=NOW)
    assert {"incident", "safety"} <= set(told["alerts"])
    kept = database.read(lambda connection: insights.list_alerts(connection, limit=100))
    incident = next(row for row in kept if row.rule == "incident")
    assert incident.day == "2026-09-24"
    assert incident.causes["where"][0]["cause"] == "shop=S9"
    assert set(incident.feedback_ids) <= {f"x{i}" for i in range(INCIDENT)}
    told_events = _events(database)
    assert len(told_events) == len(told["alerts"]) == len(kept)
    plain = json.dumps([row.data for row in told_events], ensure_ascii=False)
    assert "买的充电宝" not in plain
    assert all(len(row.data["feedback_ids"]) <= 10 for row in told_events)
    again = look(database, wanted, now=NOW + timedelta(minutes=5))
    assert again["alerts"] == []
    assert len(_events(database)) == len(told_events)


def test_a_rule_is_silent_for_its_cool_down_and_speaks_afterwards(database: Database) -> None:
    def alert(day: str, *signs: str) -> insights.Fired:
        found = {"rule": "r", "day": day, "value": 9.0, "expected": None, "messages": 9, "signs": list(signs)}
        return insights.Fired(found | {"causes": {"where": [], "what": []}, "ids": ["a"]}, cool_down=3)

    def save(fired: insights.Fired) -> bool:
        return database.write(lambda connection: insights.save_alert(connection, fired, now=NOW))

    assert [save(alert(day)) for day in ("2026-09-01", "2026-09-03", "2026-09-04", "2026-09-05")] == [
        *(True, False, False, True),
    ]
    assert [save(alert("2026-10-01", *signs)) for signs in (("a", "b"), ("b", "c"), ("d",))] == [True, False, True]


def test_one_rule_of_ones_own_with_a_threshold(database: Database, wanted: Wanted, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('version = "1"\n[[rules]]\nname = "S9"\nmetric = "count"\nfilter = {shop = "S9"}\nabove = 20\n')
    told = look(database, replace(wanted, rules=str(rules)), now=NOW)
    assert told["alerts"] == ["S9"]
    (kept,) = database.read(lambda connection: insights.list_alerts(connection, limit=100))
    assert (kept.value, kept.expected, kept.messages) == (30.0, None, 30)


def test_too_little_is_told_of_whole_days_alone(database: Database, wanted: Wanted, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('version = "1"\n[[rules]]\nname = "few"\nmetric = "count"\nbelow = 60\nleast = 1\n')
    look(database, replace(wanted, rules=str(rules)), now=NOW)
    (kept,) = database.read(lambda connection: insights.list_alerts(connection, limit=100))
    assert (kept.day, kept.value) == ("2026-09-23", 20.0)  # today has 50 so far


def test_the_page_gets_issues_forecast_and_alerts_and_no_erased_text(
    database: Database, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(database, wanted, now=NOW)
    monkeypatch.setattr("serving.insights.panels.datetime", _Clock)
    source = FoundInsights(NOW.astimezone().tzinfo or NOW.tzinfo)  # type: ignore[arg-type]
    read = database.read
    issues = read(lambda connection: source.hot_issues(connection, Slice()))
    hottest = next(issue for issue in issues if "充电宝" in issue.quote)
    assert (hottest.category, hottest.growth) == ("safety", None)
    assert 0 < hottest.hotness <= 1
    assert len(read(lambda connection: source.alerts(connection, Slice()))) >= 2
    points = read(lambda connection: source.forecast(connection, Slice(), hours=24))
    assert 10 <= len(points) <= 14
    assert all(point.low <= point.expected <= point.high for point in points)
    assert read(lambda connection: source.forecast(connection, Slice(), hours=6)) == []
    assert read(lambda connection: source.hot_issues(connection, Slice(queue="safety"))) == []
    erased = update(feedback).where(feedback.c.id == hottest.id).values(erased_at=NOW, text="")
    database.write(lambda connection: connection.execute(erased))
    assert hottest.id not in {issue.id for issue in read(lambda connection: source.hot_issues(connection, Slice()))}


class _Clock:
    """Of the evening on which everything here happens."""

    min = NOW.min
    combine = NOW.combine

    @staticmethod
    def now(_: object) -> Any:
        return NOW
