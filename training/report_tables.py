"""Reports, comparisons and verdicts as tables on the terminal."""

from rich.console import Console
from rich.table import Table

from training.compare import Comparison
from training.evaluate import Report
from training.gate import Verdict
from training.metrics import HEADLINE

_COLORS = {"better": "green", "worse": "red", "even": "dim"}
_BESIDE = ("accuracy", "recall.alert", "recall_top_quarter.alert", "ece")  # shown beside a task's headline
_LABELS_SHOWN = 30


def print_report(report: Report, *, console: Console | None = None) -> None:
    """Headlines, labels and slices of a report."""
    console = console or Console()
    console.print(f"[bold]{report.model_version}[/bold] on {report.rows} rows ({report.split})")
    console.print(_figures(report))
    for part in report.tasks:
        if len(part.task.labels) <= _LABELS_SHOWN:
            console.print(_labels(report, part.task.name))
    if report.slices:
        console.print(_slices(report))
    if report.baseline is not None:
        print_comparison(report.baseline, console=console)


def print_calibrations(before: Report, after: Report, *, console: Console | None = None) -> None:
    """What a calibration changed on the same rows: the error of the probabilities (ECE), and the share in `auto`."""
    table = _table("task", "ece before", "ece after", "auto before", "auto after")
    for part in after.tasks:
        errors = (report.figure(part.task.name, "ece") for report in (before, after))
        shares = (report.figure(part.task.name, "auto_coverage") for report in (before, after))
        shown = ["" if value is None else f"{value:.3f}" for value in errors]
        shown += ["" if value is None else f"{100 * value:.0f} %" for value in shares]
        table.add_row(part.task.name, *shown)
    (console or Console()).print(table)


def print_comparison(comparison: Comparison, *, all_figures: bool = False, console: Console | None = None) -> None:
    """Differences, candidate minus reference."""
    console = console or Console()
    table = _table("figure", "reference", "candidate", "difference", "95 %", "verdict")
    for name in comparison.differences if all_figures else comparison.headlines:
        found, verdict = comparison.differences[name], comparison.verdict(name)
        table.add_row(
            name,
            f"{found.reference:.3f}",
            f"{found.candidate:.3f}",
            f"{found.value:+.3f}",
            f"{found.low:+.3f} to {found.high:+.3f}",
            f"[{_COLORS[verdict]}]{verdict}[/]",
        )
    console.print(f"{comparison.candidate} against {comparison.reference} on {comparison.rows} rows")
    console.print(table)
    if comparison.skipped:
        console.print(f"not compared, other labels: {', '.join(comparison.skipped)}", style="dim")


def print_verdict(verdict: Verdict, *, console: Console | None = None) -> None:
    """Every check of the gate and the outcome."""
    console = console or Console()
    for check in verdict.checks:
        console.print(f"[green]✓[/] {check.message}" if check.passed else f"[red]✗[/] {check.message}", highlight=False)
    for reason in verdict.unapplied:
        console.print(f"– not applied: {reason}", style="dim", highlight=False, markup=False)
    console.print("[green]gate passed[/]" if verdict.passed else "[red]gate failed[/]")


def _figures(report: Report) -> Table:
    table = _table("task", "figure", "value", "95 %")
    for part in report.tasks:
        task = part.task
        for name in (HEADLINE[task.kind], *_BESIDE):
            value = report.figure(task.name, name)
            if value is not None:
                style = "bold" if name == HEADLINE[task.kind] else ""
                table.add_row(task.name, name, f"{value:.3f}", _interval(report, task.name, name), style=style)
    return table


def _labels(report: Report, task: str) -> Table:
    labels = report.schema.task(task).labels
    table = _table(task, "中文", "precision", "recall", "F1", "95 %", "rows")
    for label in labels:
        support = report.figure(task, f"support.{label.key}")
        if support is not None:
            values = (report.figure(task, f"{name}.{label.key}") for name in ("precision", "recall", "f1"))
            shown = [f"{value:.3f}" if value is not None else "" for value in values]
            table.add_row(label.key, label.zh, *shown, _interval(report, task, f"f1.{label.key}"), f"{support:.0f}")
    return table


def _slices(report: Report) -> Table:
    heads = [f"{part.task.name}/{HEADLINE[part.task.kind]}" for part in report.tasks]
    table = _table("slice", "rows", *(part.task.name for part in report.tasks))
    for part in report.slices:
        values = (part.figures.get(name) for name in heads)
        table.add_row(part.name, str(part.rows), *(f"{value:.3f}" if value is not None else "" for value in values))
    return table


def _interval(report: Report, task: str, name: str) -> str:
    found = report.intervals.get(f"{report.split}/{task}/{name}")
    return f"{found.low:.3f} to {found.high:.3f}" if found else ""


def _table(first: str, *others: str) -> Table:
    table = Table(first, header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in others:
        table.add_column(name, justify="left" if name in ("figure", "中文", "verdict") else "right")
    return table
