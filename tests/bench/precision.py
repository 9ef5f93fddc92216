"""The shipped model in 8 bits beside the same weights in full precision: labels that change, and what it costs.

    FANKUI_DATA=FOLDER python -m tests.bench.precision [--rows 10000] [--model default]

Labels are compared on comments without labels, a seeded sample of the public feedback sets, and accuracy on
triage/dev.jsonl, with paired bootstrap intervals over its rows. No text is printed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.decide import chosen_labels, chosen_polarities
from models.loading import open_model, read_predictor
from models.predictor import BundlePredictor, Columns
from models.resolving import resolve_model
from pipeline.data_folder import data_folder
from pipeline.prepare import prepare
from pipeline.schema import Kind, Task
from tests.bench.batch_texts import distinct_comments
from training.compare import Comparison, compare
from training.rows import read_rows
from training.scored import score_examples

_AT_ONCE = 500  # comments between two steps of the bar
CHANGED_MOST = 0.01
LOST_MOST = 0.005


@dataclass(frozen=True)
class Changes:
    """Of one task: how many labels there are and how many differ; of an aspect task one label a category of a text."""

    labels: int
    changed: int


def main(
    rows: Annotated[int, typer.Option(help="Comments without labels.")] = 10_000,
    model: Annotated[str, typer.Option(help="A bundle's folder, a registered model, or default.")] = "default",
    dev: Annotated[Path | None, typer.Option(help="Labelled file; default triage/dev.jsonl of the data.")] = None,
) -> None:
    """Measure and print."""
    bundle = open_model(resolve_model(model))
    full, eight = (read_predictor(bundle, precision=precision) for precision in ("fp32", "int8"))
    found = changes(full, eight, distinct_comments(rows))
    labelled = read_rows(dev or data_folder() / "triage" / "dev.jsonl", bundle.schema)
    scored = [score_examples(one, labelled.examples) for one in (full, eight)]
    console = Console(width=130)
    console.print(_changed_table(found, rows))
    console.print(_lost_table(compare(*scored)))


def changes(full: BundlePredictor, eight: BundlePredictor, texts: list[str]) -> dict[str, Changes]:
    """Task -> labels that the two forms give differently."""
    counts = {task.name: np.zeros(2, dtype=np.int64) for task in full.schema.tasks}
    with Progress() as bar:
        step = bar.add_task("both forms", total=len(texts))
        for start in range(0, len(texts), _AT_ONCE):
            prepared = [prepare(text) for text in texts[start : start + _AT_ONCE]]
            columns = [one.columns(prepared) for one in (full, eight)]
            for task in full.schema.tasks:
                one, other = (_labels(task, found, full) for found in columns)
                counts[task.name] += (one.size, int((one != other).sum()))
            bar.advance(step, len(prepared))
    return {name: Changes(int(labels), int(changed)) for name, (labels, changed) in counts.items()}


def _labels(task: Task, columns: Columns, predictor: BundlePredictor) -> NDArray[Any]:
    values, settings = columns.probabilities[task.name], predictor.calibration.task(task.name)
    if task.kind is Kind.ASPECT:
        return chosen_polarities(values, settings).ravel()
    answers = np.empty(len(values), dtype=object)
    answers[:] = chosen_labels(task, values, settings)
    return answers


def _changed_table(found: dict[str, Changes], rows: int) -> Table:
    table = Table("task", "labels", "changed by 8 bits", "aim", title=f"{rows:,} comments without labels")
    for name, one in found.items():
        table.add_row(name, f"{one.labels:,}", f"{one.changed / one.labels:.2%}", f"<= {CHANGED_MOST:.0%}")
    return table


def _lost_table(comparison: Comparison) -> Table:
    table = Table("figure", "full precision", "8 bits", "difference", "95 %", title=f"{comparison.rows} labelled rows")
    for name in comparison.headlines:
        one = comparison.differences[name]
        interval = f"[{one.low:+.4f}, {one.high:+.4f}]"
        table.add_row(name, f"{one.reference:.3f}", f"{one.candidate:.3f}", f"{one.value:+.4f}", interval)
    table.caption = f"aim: nothing loses more than {LOST_MOST}"
    return table


if __name__ == "__main__":
    typer.run(main)
