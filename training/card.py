"""The model card (Markdown): what the model is for, what it was measured on, and where it fails."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from pipeline.schema import Kind, Task
from training.compare import Comparison
from training.evaluate import Report
from training.few_rows import MIN_ROWS
from training.metrics import HEADLINE

MIN_SUPPORT = 20  # gold rows below which a label's figures are called weak
MAX_LABELS = 30  # rows of a table of labels; of more, the weakest are shown

_MAIN = {
    Kind.SINGLE: ("macro_f1", "accuracy", "ece"),
    Kind.ORDINAL: (
        "qwk",
        "macro_f1",
        "accuracy",
        "mae",
        "recall.alert",
        "precision.alert",
        "recall_top_quarter.alert",
        "ece",
    ),
    Kind.MULTI: ("micro_f1", "macro_f1", "accuracy", "ece"),
    Kind.ASPECT: ("f1", "precision", "recall", "mention_f1", "polarity_accuracy", "ece"),
}


def model_card(
    report: Report, *, name: str, kind: str, facts: Mapping[str, str] | None = None, few: Collection[str] = ()
) -> str:
    """Markdown card. `facts` are lines about the training: data, rows, settings, seed; they hold no comments.

    `few`: tasks that were calibrated on too few rows for the zone `auto`.
    """
    sections = [
        f"# {name}",
        _intro(report, kind),
        _section("Training", _facts(facts)),
        _section(f"Results on `{report.split}`", _results(report)),
        _section("Beside the reference", _baseline(report.baseline)),
        _section("Labels", "\n\n".join(_labels(report, part.task) for part in report.tasks)),
        _section("Slices", _slices(report)),
        _section("Confidence and zones", _zones(report)),
        _section("Limits", "\n".join(f"- {line}" for line in _limits(report, few))),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def training_facts(card: str) -> dict[str, str]:
    """The facts that a card tells of the training, to be told again of the same weights."""
    section = card.partition("## Training\n")[2].partition("\n## ")[0]
    lines = (line[2:].partition(": ") for line in section.splitlines() if line.startswith("- "))
    return {key: value for key, _, value in lines}


def _intro(report: Report, kind: str) -> str:
    tasks = ", ".join(f"`{task.name}` ({task.kind}, {len(task.labels)} labels)" for task in report.schema.tasks)
    return (
        f"A {kind} model for Chinese customer feedback. It answers {tasks}; label schema `{report.schema.name}` "
        f"version {report.schema.version}, digest `{report.schema.digest[:12]}`.\n\n"
        "Made for sorting and routing comments by people who check what it is unsure of. It judges comments, "
        "never the persons who wrote them."
    )


def _facts(facts: Mapping[str, str] | None) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in (facts or {}).items())


def _results(report: Report) -> str:
    rows = []
    for part in report.tasks:
        for name in _MAIN[part.task.kind]:
            value = report.figure(part.task.name, name)
            if value is not None:
                shown = f"**{name}**" if name == HEADLINE[part.task.kind] else name
                rows.append((part.task.name, shown, f"{value:.3f}", _interval(report, part.task.name, name)))
    intro = f"{report.rows} rows. Brackets hold a 95 % bootstrap interval over rows. The headline of a task is bold."
    return intro + "\n\n" + _table(("task", "figure", "value", "95 %"), rows)


def _baseline(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    rows = [
        (
            name,
            f"{found.reference:.3f}",
            f"{found.candidate:.3f}",
            f"{found.value:+.3f}",
            f"[{found.low:+.3f}, {found.high:+.3f}]",
            comparison.verdict(name),
        )
        for name in comparison.headlines
        if (found := comparison.differences[name])
    ]
    table = _table(("figure", "reference", "this model", "difference", "95 %", "verdict"), rows)
    return f"Reference `{comparison.reference}`, on the same {comparison.rows} rows.\n\n{table}"


def _labels(report: Report, task: Task) -> str:
    measured = [key for key in task.keys if report.figure(task.name, f"support.{key}") is not None]
    shown, note = measured, ""
    if len(measured) > MAX_LABELS:
        shown = sorted(measured, key=lambda key: report.figure(task.name, f"f1.{key}") or 0.0)[:MAX_LABELS]
        note = f"\n\nThe {MAX_LABELS} weakest of {len(measured)} labels."
    rows = [_label_row(report, task, key) for key in shown]
    table = _table(("label", "中文", "precision", "recall", "F1", "95 %", "rows"), rows)
    heading = task.name if task.zh == task.name else f"{task.name} {task.zh}"
    return f"### {heading}\n\n{table}{note}"


def _label_row(report: Report, task: Task, key: str) -> tuple[str, ...]:
    figures = [report.figure(task.name, f"{name}.{key}") for name in ("precision", "recall", "f1")]
    support = report.figure(task.name, f"support.{key}") or 0
    values = [_number(value) for value in figures]
    return (key, task.label(key).zh, *values, _interval(report, task.name, f"f1.{key}"), f"{support:.0f}")


def _slices(report: Report) -> str:
    if not report.slices:
        return ""
    heads = [f"{part.task.name}/{HEADLINE[part.task.kind]}" for part in report.tasks]
    rows = [(part.name, str(part.rows), *(_number(part.figures.get(name)) for name in heads)) for part in report.slices]
    note = "Probes go by tags and cue words, so they are places to look at, not labels."
    return _table(("slice", "rows", *heads), rows) + "\n\n" + note


def _zones(report: Report) -> str:
    rows = []
    for part in report.tasks:
        for zone, threshold in (("auto", part.calibration.auto), ("suggest", part.calibration.suggest)):
            least = f"{threshold:.3f}" if threshold <= 1 else "never"
            share, precision = part.zones.get(f"{zone}_coverage"), part.zones.get(f"{zone}_precision")
            rows.append((part.task.name, zone, least, _number(share), _number(precision)))
    note = (
        "Thresholds were fitted on a split of their own for a wanted precision; share and precision are what they "
        "gave here. What reaches neither is for review."
    )
    return _table(("task", "zone", "least probability", "share of answers", "precision"), rows) + "\n\n" + note


def _limits(report: Report, few: Collection[str]) -> Iterable[str]:
    for part in report.tasks:
        task = part.task
        weak = [key for key in task.keys if 0 < (report.figure(task.name, f"support.{key}") or 0) < MIN_SUPPORT]
        unseen = [key for key in task.keys if report.figure(task.name, f"support.{key}") is None]
        if weak:
            yield f"`{task.name}`: fewer than {MIN_SUPPORT} rows of {_listed(weak)}; their figures are weak evidence."
        if unseen:
            yield f"`{task.name}`: no row of {_listed(unseen)}; nothing is known of them."
    for part in report.tasks:
        if part.task.name in few:
            yield f"`{part.task.name}`: calibrated on fewer than {MIN_ROWS} rows, so nothing is decided unseen."
        elif part.calibration.auto > 1:
            yield f"`{part.task.name}`: the wanted precision was never reached, so nothing is decided unseen."
        if report.figure(part.task.name, "recall.alert") is not None:
            yield f"`{part.task.name}`: a low level is no proof of calm; the share missed is 1 - `recall.alert` above."
    yield "Comments of other domains than the measured ones are answered worse; measure on labelled rows of your own."
    yield "Sarcasm, and praise that is meant as blame, is often taken at its word."
    yield "Only Chinese: a text with hardly any Chinese is flagged `out_of_scope` and left to a person."


def _listed(keys: Sequence[str]) -> str:
    shown = ", ".join(f"`{key}`" for key in keys[:8])
    return shown + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")


def _interval(report: Report, task: str, name: str) -> str:
    found = report.intervals.get(f"{report.split}/{task}/{name}")
    return f"[{found.low:.3f}, {found.high:.3f}]" if found and found.low == found.low else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
