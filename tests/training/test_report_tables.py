"""What the terminal shows."""

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from models.calibration import Calibration, TaskCalibration
from training.compare import compare
from training.evaluate import report_on
from training.gate import Gate, Rule, check_gate
from training.report_tables import print_calibrations, print_comparison, print_report, print_verdict


def shown(show: Any, *args: Any, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=120)
    show(*args, console=console, **options)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_report_shows_headlines_labels_and_slices(make_scored: Any) -> None:
    report = report_on(make_scored(), split="dev", draws=100)
    text = shown(print_report, report)
    assert "m@1 on 300 rows (dev)" in text
    assert f"{report.figure('urgency', 'qwk'):.3f}" in text
    assert "物流配送" in text
    assert "source=shop" in text


def test_a_comparison_shows_headlines_or_everything(make_scored: Any) -> None:
    comparison = compare(make_scored(skill=1.0), make_scored(skill=3.0, version="new@2"), draws=100)
    short, long = shown(print_comparison, comparison), shown(print_comparison, comparison, all_figures=True)
    assert "new@2 against m@1 on 300 rows" in short
    assert "urgency/qwk" in short
    assert "better" in short
    assert "urgency/f1.critical" not in short
    assert "urgency/f1.critical" in long


def test_a_calibration_shows_what_it_changed(make_scored: Any) -> None:
    before = make_scored()
    fitted = Calibration({"urgency": TaskCalibration(temperature=3.0, auto=0.4)})
    reports = [report_on(one, draws=2) for one in (before, replace(before, calibration=fitted))]
    (line,) = (line for line in shown(print_calibrations, *reports).splitlines() if line.startswith("urgency"))
    errors = [f"{report.figure('urgency', 'ece'):.3f}" for report in reports]
    share = reports[1].figure("urgency", "auto_coverage")
    assert share
    assert line.split() == ["urgency", *errors, "0", "%", f"{100 * share:.0f}", "%"]


def test_a_verdict_shows_every_check(make_scored: Any) -> None:
    report = report_on(make_scored(), draws=100)
    verdict = check_gate(report, None, Gate((Rule("urgency/qwk", at_least=0.99), Rule("*/ece", at_most=1.0))))
    text = shown(print_verdict, verdict)
    assert "✗ urgency/qwk" in text
    assert "✓ sentiment/ece" in text
    assert "gate failed" in text
    reason = "max_loss: no model answers the same tasks; name one, such as a linear baseline"
    alone = shown(print_verdict, check_gate(report, None, Gate((Rule("*", max_loss=0.1),))))
    assert f"not applied: {reason}" in alone
