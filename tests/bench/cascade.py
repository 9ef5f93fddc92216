"""Whether n-grams may answer by themselves what they are sure of, and the network only the rest.

    FANKUI_DATA=FOLDER python -m tests.bench.cascade [--on labelled/further.jsonl]

The joint model's own linear half answers the share of the comments of which it is surest, in all tasks at once, and the
whole model the others. Figures beside those of the whole model, paired, and the share of the characters that the
network is spared: to double the speed it has to be half of them, within half a point in every task.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from models.calibration import Calibration
from models.heads import probabilities
from models.joint import JointModel, mixed
from models.loading import load_predictor
from models.predictor import BundlePredictor
from models.resolving import resolve_model
from pipeline.data_folder import data_folder
from training.calibrate import fit_calibration
from training.columns import gold_columns
from training.compare import compare
from training.rows import Rows, joined, read_rows
from training.scored import Scored

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)

Probabilities = Mapping[str, NDArray[np.float64]]


def main(
    on: Annotated[list[Path] | None, typer.Option(help="Labelled files; default triage/dev.jsonl.")] = None,
    model: Annotated[str, typer.Option(help="A joint model.")] = "default",
) -> None:
    """Measure and print."""
    predictor = load_predictor(resolve_model(model))
    if not isinstance(predictor.model, JointModel):
        raise typer.BadParameter(f"expected a joint model; {model} is none")
    rows = joined([read_rows(path, predictor.schema) for path in on or [data_folder() / "triage" / "dev.jsonl"]])
    whole, alone = _answers(predictor, predictor.model, rows)
    base = _scored(predictor, rows, whole)
    order = np.argsort(-_least_sure(alone), kind="stable")
    lengths = np.array([len(text) for text in rows.texts])
    heads = list(compare(base, base).headlines)
    table = Table("by n-grams", "of characters", *heads, title=f"{len(rows)} comments, differences to the whole model")
    for share in SHARES:
        taken = np.zeros(len(rows), dtype=np.bool_)
        taken[order[: round(share * len(rows))]] = True
        both = {name: _chosen(taken, alone[name], whole[name]) for name in whole}
        found = compare(base, _scored(predictor, rows, both)).differences
        cells = [f"{found[n].value:+.3f} [{found[n].low:+.3f}, {found[n].high:+.3f}]" for n in heads]
        table.add_row(f"{share:.0%}", f"{lengths[taken].sum() / lengths.sum():.0%}", *cells)
    Console(width=170).print(table)


def _answers(predictor: BundlePredictor, model: JointModel, rows: Rows) -> tuple[Probabilities, Probabilities]:
    """Of the whole model, calibrated as it ships, and of its linear half, with temperatures that suit it best."""
    linear = model.linear.logits(rows.texts).logits
    both = mixed(model.network.logits(rows.texts).logits, linear, model.mixes)
    own = fit_calibration(predictor.schema, gold_columns(rows.examples, predictor.schema), linear)

    def calibrated(logits: Mapping[str, NDArray[np.floating]], calibration: Calibration) -> Probabilities:
        tasks = predictor.schema.tasks
        return {
            task.name: probabilities(task, logits[task.name], calibration.task(task.name).temperature) for task in tasks
        }

    return calibrated(both, predictor.calibration), calibrated(linear, own)


def _least_sure(found: Probabilities) -> NDArray[np.float64]:
    """(n,) how sure the least sure of a comment's answers is."""
    return np.asarray(
        np.minimum.reduce([values.max(axis=-1).reshape(len(values), -1).min(axis=1) for values in found.values()])
    )


def _chosen(taken: NDArray[np.bool_], one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(taken.reshape(-1, *[1] * (one.ndim - 1)), one, other))


def _scored(predictor: BundlePredictor, rows: Rows, found: Probabilities) -> Scored:
    gold = gold_columns(rows.examples, predictor.schema)
    return Scored(rows.examples, predictor.schema, predictor.calibration, predictor.model_version, dict(found), gold)


if __name__ == "__main__":
    typer.run(main)
