"""An answer as people read it in the terminal: labels in 中文 with their keys, aspects, due time, queue, zone."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from models.evidence import Evidence
from pipeline.errors import FeedbackError
from pipeline.feedback import Decision, Prediction, TaskPrediction
from pipeline.schema import LabelSchema, Task

_SIGNS = {-1: "-", 0: "0", 1: "+"}
_STYLES = {-1: "red", 0: "yellow", 1: "green"}
_ZONE_STYLES = {"auto": "green", "suggest": "yellow", "review": "red"}
_TITLE_CHARS = 60


def show_answer(
    console: Console,
    schema: LabelSchema,
    text: str,
    prediction: Prediction,
    *,
    decision: Decision,
    evidence: Sequence[Evidence] = (),
) -> None:
    """Print one comment's answer as a panel."""
    table = Table.grid(padding=(0, 2))
    for task in schema.tasks:
        heading = Text.assemble((task.zh, "bold"), f" {task.name}" if task.zh != task.name else "")
        if task.name in prediction.tasks:
            table.add_row(heading, _labels(task, prediction.tasks[task.name]))
        else:
            table.add_row(heading, _aspects(task, prediction))
    if prediction.satisfaction is not None:
        table.add_row(Text.assemble(("满意度", "bold"), " satisfaction"), f"{prediction.satisfaction:.1f} / 5")
    table.add_row(Text.assemble(("去向", "bold"), " decision"), _decision(decision))
    notes = [*prediction.flags, *(["truncated"] if prediction.truncated else [])]
    if notes:
        table.add_row(Text.assemble(("提示", "bold"), " flags"), Text(", ".join(notes), style="red"))
    if evidence:
        table.add_row(Text.assemble(("依据", "bold"), " evidence"), _evidence(text, evidence))
    console.print(Panel(table, title=_title(text), title_align="left", subtitle=prediction.model_version, expand=False))


def show_error(console: Console, number: int, error: FeedbackError) -> None:
    """Print why the comment with this number has no answer."""
    console.print(Text(f"{number}: {error.code}: {error.message}", style="red"))


def evidence_item(one: Evidence) -> dict[str, Any]:
    """Evidence as JSON."""
    return asdict(one)


def _labels(task: Task, found: TaskPrediction) -> Text:
    chosen = [found.label] if isinstance(found.label, str) else list(found.label)
    line = Text()
    for key in chosen:
        line.append(f"{_name(task, key)} ", style="bold").append(f"{found.probabilities[key]:.0%}  ")
    if not chosen:
        line.append("无 none ", style="bold").append(f"{found.probability:.0%}  ")
    rest = sorted((key for key in found.probabilities if key not in chosen), key=lambda key: -found.probabilities[key])
    if rest and found.probabilities[rest[0]] >= 0.1:
        line.append(f"({_name(task, rest[0])} {found.probabilities[rest[0]]:.0%})", style="dim")
    return line


def _aspects(task: Task, prediction: Prediction) -> Text:
    line = Text()
    for aspect in prediction.aspects.get(task.name, ()):
        style = _STYLES[aspect.polarity]
        line.append(f"{_name(task, aspect.category)} {_SIGNS[aspect.polarity]} ", style=style)
        line.append(f"{aspect.probability:.0%}  ")
    return line if line else Text("无 none", style="dim")


def _decision(decision: Decision) -> Text:
    line = Text.assemble("queue ", (decision.queue, "bold"), " · zone ", (decision.zone, _ZONE_STYLES[decision.zone]))
    if decision.priority is not None:
        line.append(f" · priority {decision.priority}")
    if decision.due_at is not None:
        line.append(f" · due {decision.due_at:%Y-%m-%d %H:%M %Z}")
    return line.append(f"  ({', '.join(decision.reasons)})", style="dim") if decision.reasons else line


def _evidence(text: str, evidence: Sequence[Evidence]) -> Text:
    by_label: dict[tuple[str, str], list[str]] = {}
    for one in evidence:
        shown = f"“{_printable(text[one.start : one.end])}” {one.weight:+.0%}"
        by_label.setdefault((one.task, one.label), []).append(shown)
    return Text("\n".join(f"{task} {label}: {'  '.join(spans)}" for (task, label), spans in by_label.items()))


def _name(task: Task, key: str) -> str:
    label = task.label(key)
    return key if label.zh == key else f"{label.zh} {key}"


def _title(text: str) -> Text:
    shown = _printable(text)
    return Text(shown if len(shown) <= _TITLE_CHARS else shown[: _TITLE_CHARS - 1] + "…")


def _printable(text: str) -> str:
    """Without line breaks and terminal escapes: a comment may hold anything."""
    return "".join(character if character.isprintable() else " " for character in text)
