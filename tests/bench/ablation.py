"""What each part of the recipe gives, by cross-validation on train and dev together: dev alone is too small for it.

    python -m tests.bench.ablation --arm base --arm adversarial:network.adversarial=0.5 --arm linear:model=linear
    python -m tests.bench.ablation --by source --arm base --arm linear:model=linear
    python -m tests.bench.ablation --on $FANKUI_DATA/triage/dev.jsonl --on labelled/further.jsonl --arm base …

Rows of `$FANKUI_DATA`/triage are cut into folds by groups of near-duplicates, or by source, so that a fold's domains
are new to the model. With `--on` there is one fold, the rows of these files, for an encoder that has learnt from the
labels of train.jsonl and would know its folds already; what is near to them is left out of train.jsonl. Every arm
answers each fold by models that saw the other folds (and the `--extra` files, less what is near to the fold or of its
sources), with the best epoch, calibration and mix from rows held out of those. Finished folds are kept under `--out`,
so that a stopped run goes on. Differences to the first arm are paired, with bootstrap intervals over the rows.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from models.calibration import Calibration
from models.predictor import BundlePredictor
from pipeline.duplicates import near_duplicate_groups
from pipeline.schema import LabelSchema, load_schema
from training.calibrate import fit_calibration
from training.columns import gold_columns
from training.compare import compare
from training.config import TrainConfig, resolve
from training.fitting import fit
from training.progress import Silent
from training.rows import Parts, Rows, hold_out, joined, read_rows
from training.scored import Scored

_HELD_OUT = 0.1  # of the training rows: chooses the epoch, calibrates, mixes
FIGURES = ("sentiment/macro_f1", "category/macro_f1", "urgency/qwk", "urgency/recall_top_quarter.alert", "aspects/f1")


@dataclass(frozen=True, slots=True)
class Arm:
    """One recipe: settings over the base."""

    name: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Folds:
    """The rows that are measured on, their folds, and the rows that only train."""

    rows: Rows
    fold: NDArray[np.intp]
    extra: Rows
    extra_fold: NDArray[np.intp]  # the fold that an extra row is kept out of, or -1


def main(  # noqa: PLR0917
    arm: Annotated[list[str], typer.Option(help="NAME or NAME:key=value,key=value; the first one is the base.")],
    extra: Annotated[list[Path] | None, typer.Option(help="Labelled files that only train.")] = None,
    on: Annotated[list[Path] | None, typer.Option(help="Measure on these files, by models from train.jsonl.")] = None,
    by: Annotated[str, typer.Option(help="group (near-duplicates) or source.")] = "group",
    folds: Annotated[int, typer.Option(help="How many.")] = 5,
    only: Annotated[int | None, typer.Option(help="Measure this many folds and leave the others.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="May be repeated.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the base in TOML.")] = None,
    out: Annotated[Path, typer.Option(help="Where finished folds are kept.")] = Path("runs/ablation"),
) -> None:
    """Run every arm on every fold that is not done, then print the table."""
    schema = load_schema()
    triage = Path(os.environ["FANKUI_DATA"]) / "triage"
    split = _folds(triage, extra or [], schema, by=by, count=folds)
    if on:
        split, by, folds = _apart(triage, on, extra or [], schema), "on", 1
    arms = [_arm(text) for text in arm]
    scored = {}
    for one in arms:
        parts = [
            _score(one, split, schema, seed=s, folds=only or folds, config=config, out=out / by) for s in seed or [7]
        ]
        scored[one.name] = parts
    _show(arms, scored)


def _folds(triage: Path, extra: Sequence[Path], schema: LabelSchema, *, by: str, count: int) -> Folds:
    rows = joined([read_rows(triage / f"{name}.jsonl", schema) for name in ("train", "dev")])
    more = joined([read_rows(path, schema) for path in extra])
    if by == "source":
        return _by_source(rows, more, count)
    groups = np.array(near_duplicate_groups([*rows.texts, *more.texts]))
    order = np.random.default_rng(1).permutation(groups.max() + 1) % count
    fold = order[groups]
    own = set(groups[: len(rows)].tolist())
    apart = np.array([fold[len(rows) + i] if groups[len(rows) + i] in own else -1 for i in range(len(more))], np.intp)
    return Folds(rows, fold[: len(rows)], more, apart)


def _apart(triage: Path, on: Sequence[Path], extra: Sequence[Path], schema: LabelSchema) -> Folds:
    measured = joined([read_rows(path, schema) for path in on])
    train = read_rows(triage / "train.jsonl", schema)
    more = joined([read_rows(path, schema) for path in extra])
    groups = np.array(near_duplicate_groups([*measured.texts, *train.texts, *more.texts]))
    near = np.isin(groups[len(measured) :], groups[: len(measured)])
    train, more = (
        rows.pick(np.flatnonzero(~part)) for rows, part in ((train, near[: len(train)]), (more, near[len(train) :]))
    )
    fold = np.array([0] * len(measured) + [-1] * len(train), np.intp)
    return Folds(joined([measured, train]), fold, more, np.full(len(more), -1, np.intp))


def _by_source(rows: Rows, more: Rows, count: int) -> Folds:
    # Large sources first, each to the fold that is smallest so far.
    names, sizes = np.unique([example.source for example in rows.examples], return_counts=True)
    filled, place = np.zeros(count), {}
    for i in np.argsort(-sizes):
        place[str(names[i])] = int(filled.argmin())
        filled[filled.argmin()] += sizes[i]
    # The titles of a source are of its domain too: gov_title is kept out where gov is.
    apart = [next((f for name, f in place.items() if example.source.startswith(name)), -1) for example in more.examples]
    return Folds(rows, np.array([place[e.source] for e in rows.examples], np.intp), more, np.array(apart, np.intp))


def _score(
    arm: Arm, split: Folds, schema: LabelSchema, *, seed: int, folds: int, config: Path | None, out: Path
) -> Scored:
    """The answers of one arm to all rows of the measured folds; decided by each fold's own calibration."""
    found: list[Scored] = []
    for number in range(folds):
        file = out / f"{arm.name}-{seed}-{number}.json"
        inside = split.rows.pick(np.flatnonzero(split.fold == number))
        if not file.exists():
            settings = resolve({"seed": seed, "track": False}, file=config, overrides=arm.overrides)
            scored = _fitted(settings, split, number, schema).predict_columns([e.text for e in inside.examples])
            file.parent.mkdir(parents=True, exist_ok=True)
            body = {name: p.tolist() for name, p in scored.probabilities.items()}
            file.write_text(json.dumps(body), encoding="utf-8")
            Console(stderr=True).print(f"{arm.name} seed {seed} fold {number}: done")
        answers = {name: np.array(p) for name, p in json.loads(file.read_text(encoding="utf-8")).items()}
        gold = gold_columns(inside.examples, schema)
        found.append(Scored(inside.examples, schema, Calibration.identity(schema), arm.name, answers, gold))
    return Scored(
        examples=[example for one in found for example in one.examples],
        schema=schema,
        calibration=Calibration.identity(schema),
        model_version=arm.name,
        probabilities={t.name: np.concatenate([one.probabilities[t.name] for one in found]) for t in schema.tasks},
        gold={t.name: np.concatenate([one.gold[t.name] for one in found]) for t in schema.tasks},
    )


def _fitted(settings: TrainConfig, split: Folds, number: int, schema: LabelSchema) -> BundlePredictor:
    outside = split.rows.pick(np.flatnonzero(split.fold != number))
    more = split.extra.pick(np.flatnonzero(split.extra_fold != number))
    kept, apart = hold_out(range(len(outside)), share=_HELD_OUT, seed=settings.seed)
    held = outside.pick(apart)
    parts = Parts(train=joined([outside.pick(kept), more]), calibration=held, dev=held, test=None, leaked=0)
    folder = Path("runs") / "ablation-checkpoints" / str(os.getpid())
    fitted = fit(replace(settings, resume=False), schema, parts, folder=folder, progress=Silent())
    if fitted is None:
        raise RuntimeError("cross-validation runs in one process")
    logits = fitted.model.logits(held.texts).logits
    calibration = fit_calibration(schema, gold_columns(held.examples, schema), logits)
    return BundlePredictor(model=fitted.model, schema=schema, calibration=calibration, model_version="fold")


def _arm(text: str) -> Arm:
    name, _, overrides = text.partition(":")
    return Arm(name, tuple(part for part in overrides.split(",") if part))


def _show(arms: Sequence[Arm], scored: dict[str, list[Scored]]) -> None:
    table = Table("arm", *FIGURES)
    base = scored[arms[0].name]
    for arm in arms:
        cells = []
        for figure in FIGURES:
            differences = [
                compare(one, other).differences[figure] for one, other in zip(base, scored[arm.name], strict=True)
            ]
            value = float(np.mean([d.candidate for d in differences]))
            cell = f"{value:.3f}"
            if arm is not arms[0]:
                low, high = (float(np.mean([getattr(d, side) for d in differences])) for side in ("low", "high"))
                cell += f" {float(np.mean([d.value for d in differences])):+.3f} [{low:+.3f}, {high:+.3f}]"
            cells.append(cell)
        table.add_row(arm.name, *cells)
    Console(width=200).print(table)


if __name__ == "__main__":
    typer.run(main)
