"""serving/insights/watching.py: of two workers one looks, and what it finds is told on every way, once."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

import fankui
from pipeline.errors import ConfigError
from pipeline.schema import LabelSchema
from serving.insights.watching import is_wanted, zone_name
from serving.settings import ServeSettings
from serving.store.database import open_database
from serving.store.migrating import upgrade
from tests.serving.insights.conftest import fill
from tests.webhook_receiver import Receiver

LOCAL = ("--webhook-http", "--webhook-network", "127.0.0.0/8")


def _filled(store_url: str, schema: LabelSchema) -> None:
    database = open_database(store_url, timeout=5.0)
    upgrade(database)
    fill(database, schema, now=datetime.now(UTC) - timedelta(minutes=1))
    database.close()


def _until(true: Callable[[], Any], *, seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


@pytest.mark.slow
def test_alerts_reach_list_page_webhook_metric_and_log_once(
    start_server: Callable[..., Any],
    linear_bundle: Path,
    store_url: str,
    schema: LabelSchema,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _filled(store_url, schema)
    receiver = Receiver()
    add = ["webhooks", "add", "desk", receiver.url, "--allow-http", "--event", "insight.alert"]
    assert fankui.run([*add, "--store", store_url]) == 0
    capsys.readouterr()
    options = ("--model", str(linear_bundle), "--store", store_url, "--workers", "2", "--insight-seconds", "2")
    server = start_server(*options, *LOCAL)
    try:
        listed = _until(lambda: httpx.get(f"{server.url}/v1/alerts").json()["items"])
        rules = {alert["rule"] for alert in listed}
        assert "incident" in rules
        causes = next(alert["causes"] for alert in listed if alert["rule"] == "incident")
        assert causes["where"][0]["cause"] == "shop=S9"
        told = _until(lambda: len(receiver.got) >= len(listed) and [json.loads(got.body) for got in receiver.got])
        assert {message["type"] for message in told} == {"insight.alert"}
        assert {message["data"]["rule"] for message in told} == rules
        panels = httpx.get(f"{server.url}/dashboard/figures").json()["panels"]
        assert {alert["name"] for alert in panels["alerts"]} == rules
        assert any("充电宝" in issue["quote"] for issue in panels["hot_issues"])
        _until(lambda: 'fankui_alerts_total{rule="incident"} 1.0' in httpx.get(f"{server.url}/metrics").text)
        # Something new: another look, and nobody is told again.
        looked = httpx.get(f"{server.url}/v1/alerts").json()["looked_at"]
        httpx.post(f"{server.url}/v1/feedback", json={"text": "快递三天没到"})
        _until(lambda: httpx.get(f"{server.url}/v1/alerts").json()["looked_at"] != looked)
        assert len(httpx.get(f"{server.url}/v1/alerts").json()["items"]) == len(listed)
        assert len(receiver.got) == len(told)
        plain = server.log.read_text(encoding="utf-8") + json.dumps(told, ensure_ascii=False)
        assert "买的充电宝" not in plain
        _until(lambda: server.log.read_text(encoding="utf-8").count('"event":"insights"') == 2)
    finally:
        receiver.close()
        server.process.terminate()
        server.process.wait(30)


def test_rules_with_a_mistake_and_options_without_a_store_are_told_at_start(
    tmp_path: Path, schema: LabelSchema
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("version = '1'\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\[\[rules\]\]"):
        is_wanted(ServeSettings(store="x.db", alerts=rules), schema)
    rules.write_text(
        "[[rules]]\nname = 'r'\nmetric = 'count'\nabove = 9\nfilter = { category = 'refnd' }\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="no label 'refnd'; did you mean 'refund'"):
        is_wanted(ServeSettings(store="x.db", alerts=rules), schema)
    with pytest.raises(ConfigError, match="give --store too"):
        ServeSettings(alerts=rules)
    assert is_wanted(ServeSettings(store="x.db", insights=False), schema) is False


def test_a_missing_extra_is_an_error_only_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, schema: LabelSchema
) -> None:
    monkeypatch.setattr("serving.insights.watching.find_spec", lambda _: None)
    assert is_wanted(ServeSettings(store="x.db"), schema) is False
    with pytest.raises(ConfigError, match="insights"):
        is_wanted(ServeSettings(store="x.db", insights=True), schema)


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("Asia/Shanghai", "Asia/Shanghai"),
        (timedelta(hours=8), "Etc/GMT-8"),
        (timedelta(hours=-5), "Etc/GMT+5"),
        (timedelta(hours=5, minutes=30), "Asia/Shanghai"),
    ],
)
def test_every_zone_of_a_policy_has_a_name(zone: Any, name: str) -> None:
    from datetime import timezone
    from zoneinfo import ZoneInfo

    assert zone_name(ZoneInfo(zone) if isinstance(zone, str) else timezone(zone)) == name
    ZoneInfo(name)
