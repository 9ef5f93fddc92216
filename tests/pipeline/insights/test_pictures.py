"""What the report draws, counted by hand, and the shapes that it is drawn as."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.insights.report.week import Week
from pipeline.insights.report.weekly import WeeklyReport
from pipeline.insights.report_text.document import Band, Heat, Layer, Stacked, Table
from pipeline.insights.report_text.drawing import band_area, band_line, band_top, parts, stack_top
from pipeline.insights.report_text.picture_sections import alerts_section, pictures_section
from pipeline.insights.report_text.wording import Wording
from pipeline.schema import load_schema
from tests.pipeline.insights.report_rows import LAST_MONDAY, planted_rows
from tests.pipeline.insights.test_report import read, report_on

Rows = list[dict[str, Any]]
WEEK = Week(LAST_MONDAY)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return planted_rows()


@pytest.fixture(scope="module")
def report(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> WeeklyReport:
    return report_on(read(tmp_path_factory.mktemp("pictures") / "scored.jsonl", rows), WEEK)


@pytest.fixture
def say() -> Wording:
    return Wording("zh", load_schema())


def local(row: dict[str, Any]) -> date:
    return date.fromisoformat(row["created_at"][:10])


def test_the_days_are_counted_by_label(rows: Rows, report: WeeklyReport) -> None:
    found = report.pictures
    first = LAST_MONDAY - timedelta(days=28)
    assert found.days == tuple(first + timedelta(days=i) for i in range(35))
    told = [row for row in rows if local(row) >= first]
    counts = Counter(local(row) for row in told)
    assert found.totals == tuple(counts[day] for day in found.days)
    for task in ("sentiment", "urgency", "category"):
        daily = found.daily[task]
        by_hand = Counter((row[task], local(row)) for row in told)
        for label, line in zip(daily.labels, daily.counts, strict=True):
            assert line == tuple(by_hand[label, day] for day in found.days)
        assert [sum(line) for line in daily.counts] == sorted((sum(line) for line in daily.counts), reverse=True)


def test_the_two_weeks_to_come_and_the_alerts_of_the_week(report: WeeklyReport, say: Wording) -> None:
    found = report.pictures
    assert [day.day for day in found.ahead] == [WEEK.last + timedelta(days=i) for i in range(1, 15)]
    assert all(day.lower <= day.expected <= day.upper for day in found.ahead)
    kettle = [fired for fired in found.alerts if fired.rule == "incident"]
    assert any(fired.cause is not None and fired.cause.name == "shop=S03" for fired in kettle)
    assert all(WEEK.first <= fired.day <= WEEK.last for fired in found.alerts)
    (table,) = alerts_section(report, say).blocks
    assert isinstance(table, Table)
    assert any("突发事件" in row and "门店 S03" in row for row in table.rows)


def test_what_is_drawn(report: WeeklyReport, say: Wording) -> None:
    section = pictures_section(report, say)
    feelings, urgency, heat, ahead = section.blocks
    assert isinstance(feelings, Stacked)
    assert [(layer.name, layer.tone) for layer in feelings.layers] == [
        ("负面", "bad"),
        ("中性", "pale"),
        ("正面", "good"),
    ]
    assert isinstance(urgency, Stacked)
    assert [layer.tone for layer in urgency.layers] == ["bad", "warn", "mild", "pale"]
    assert isinstance(heat, Heat)
    assert max(tint for row in heat.rows for _, tint in row.cells) == 1.0
    assert isinstance(ahead, Band)
    assert len(ahead.past) == 35
    assert len(ahead.expected) == len(ahead.lower) == len(ahead.upper) == 14


def test_little_history_makes_no_forecast_and_no_rule_an_alert(tmp_path: Path, say: Wording) -> None:
    table = read(tmp_path / "one.jsonl", [{"text": "灯不亮了", "created_at": "2025-04-09"}])
    report = report_on(table, WEEK)
    assert (report.pictures.ahead, report.pictures.alerts, report.pictures.daily) == ((), (), {})
    assert report.pictures.days[0] == date(2025, 4, 9)
    assert pictures_section(report, say).lead[-1] == "数据不足三周，还不能预计今后的条数。"
    assert alerts_section(report, say).lead == ("本周没有触发预警。",)


def test_shapes() -> None:
    stacked = Stacked("", "", (Layer("a", "bad", (1, 0, 2)), Layer("b", "good", (3, 0, 2))), (), marked=1)
    assert stack_top(stacked) == 4
    assert [(part.x, part.y, part.height, part.tone, part.faint) for part in parts(stacked)] == [
        (0.12, 75.0, 25.0, "bad", True),
        (0.12, 0.0, 75.0, "good", True),
        (2.12, 50.0, 50.0, "bad", False),
        (2.12, 0.0, 50.0, "good", False),
    ]
    band = Band("", "", (2.0, 4.0), (5.0, 6.0), (4.0, 2.0), (8.0, 10.0), ("", "", ""))
    assert band_top(band) == 10.0
    assert band_line(band) == "2.50,50.00 3.50,40.00"
    assert band_area(band) == "2.50,20.00 3.50,0.00 3.50,80.00 2.50,60.00"
