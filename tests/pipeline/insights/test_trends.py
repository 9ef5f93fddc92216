"""What changed from one week to the next, told once."""

import pytest

from models.insight_display import show_trends
from pipeline.insights.series import membership
from pipeline.insights.terms import read_terms
from pipeline.insights.trends import changes, last_periods, told_once
from tests.pipeline.insights.comments import quiet_table, with_incident


def test_changes_about_the_same_comments_are_told_as_one() -> None:
    table = with_incident(quiet_table(), count=30)
    members = membership(table, read_terms(table.texts))
    before, now = last_periods(table)
    found = changes(table, members, before, now)
    told = told_once(found, table, members, before, now)
    certain = [change for change in told if change.certain]
    assert sum("火花" in change.series.name for change in found) >= 2
    (sparks,) = [one for one in certain if any("火花" in series.name for series in (one.series, *one.also))]
    assert "shop=S03 & aspect product=negative" in {series.name for series in sparks.also}
    # Half of the shop's comments are about other things: it is told by itself.
    assert "shop=S03" in {change.series.name for change in certain}
    assert sum(1 + len(change.also) for change in told) == len(found)


def test_numbers_are_round_and_a_change_from_nothing_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    periods = {name: {"first": "2026-01-01", "last": "2026-01-07"} for name in ("before", "now")}
    shares = {"share_before": 0.0, "share_now": 0.04, "certain": True}
    some = [
        {"series": "火花", "before": 0, "now": 48, "ratio": 97.01, "interval": [6.0, 1568.15], "also": list("abcde")},
        {"series": "慢", "before": 20, "now": 41, "ratio": 2.0345, "interval": [1.26, 3.31], "also": []},
        {"series": "好", "before": 90, "now": 41, "ratio": 0.4456, "interval": [0.312, 0.65], "also": []},
    ]
    failed = {"error": {"message": "too few days"}}
    show_trends({**periods, "changes": [one | shares for one in some], "incidents": [], "forecast": failed})
    shown = capsys.readouterr().out
    assert "new, at least 6.0" in shown
    assert "1568" not in shown
    assert "also a、b、c and 2 more" in shown
    assert "2.0 (1.3 to 3.3)" in shown
    assert "0.45 (0.31 to 0.65)" in shown
