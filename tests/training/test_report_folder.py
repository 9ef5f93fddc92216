"""A report on disk."""

import json
from pathlib import Path
from typing import Any

from training.evaluate import report_on
from training.report_folder import write_report


def test_a_report_is_written_and_written_again(make_scored: Any, tmp_path: Path) -> None:
    report = report_on(make_scored(), draws=100)
    for _ in range(2):
        files = write_report(report, tmp_path / "report", name="triage", kind="linear", facts={"seed": "7"})
    assert [path.relative_to(tmp_path / "report").as_posix() for path in files[:2]] == ["report.json", "card.md"]
    assert all(path.is_file() for path in files)
    assert json.loads(files[0].read_text(encoding="utf-8"))["metrics"] == report.metrics
    assert "- seed: 7" in files[1].read_text(encoding="utf-8")
    assert sum(path.is_file() for path in (tmp_path / "report").rglob("*")) == len(files)
