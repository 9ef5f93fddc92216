"""Pictures are written whole, are PNG, and are the same for the same report."""

from pathlib import Path
from typing import Any

from pipeline.schema import schema_from_dict
from training.evaluate import report_on
from training.plots import draw_plots

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_report_gives_its_pictures(make_scored: Any, tmp_path: Path) -> None:
    report = report_on(make_scored(), reference=make_scored(seed=1), draws=100)
    paths = draw_plots(report, tmp_path / "plots")
    assert [path.name for path in paths] == [
        "confusion_sentiment.png",
        "confusion_category.png",
        "confusion_urgency.png",
        "reliability.png",
        "risk_coverage.png",
        "alerts_urgency.png",
        "baseline.png",
    ]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(path.name for path in paths)
    assert all(path.read_bytes().startswith(PNG) and path.stat().st_size > 5_000 for path in paths)


def test_equal_reports_give_equal_files(make_scored: Any, tmp_path: Path) -> None:
    first = draw_plots(report_on(make_scored(), draws=100), tmp_path / "a")
    second = draw_plots(report_on(make_scored(), draws=100), tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_many_labels_and_more_than_four_tasks_are_drawn(make_scored: Any, tmp_path: Path) -> None:
    tasks = {f"t{i}": {"kind": "single", "labels": ["a", "b"]} for i in range(4)}
    tasks["wide"] = {"kind": "single", "labels": [f"l{i}" for i in range(60)]}
    report = report_on(make_scored(labels=schema_from_dict({"tasks": tasks})), draws=100)
    assert len(draw_plots(report, tmp_path)) == 7
