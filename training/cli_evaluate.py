"""`fankui evaluate` and `fankui compare`: what a model is worth on labelled rows, alone and beside another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import LabelColumn, TextColumn

if TYPE_CHECKING:
    from models.predictor import BundlePredictor
    from pipeline.feedback import Example
    from pipeline.schema import LabelSchema
    from training.gate import Verdict

_Files = Annotated[list[Path], typer.Argument(help="Labelled files: csv, jsonl, parquet or xlsx.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_Draws = Annotated[int, typer.Option(min=100, max=100_000, help="Bootstrap draws for the intervals.")]
_Gate = Annotated[bool, typer.Option("--gate", help="Apply the promotion gate; exit 3 if it fails.")]
_GateFile = Annotated[Path | None, typer.Option(help="Gate rules (TOML) instead of the shipped ones; implies --gate.")]


def evaluate(
    files: _Files,
    *,
    model: Annotated[
        str | None, typer.Option(help="Bundle folder, 'default', or models:/NAME@ALIAS; else the one that answers.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Another model to set beside it, such as a linear one.")] = None,
    split: Annotated[str, typer.Option(help="Name of these rows in figures, such as test or dev.")] = "test",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for report.json, card.md and plots.")
    ] = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    gate: _Gate = False,
    gate_file: _GateFile = None,
    draws: _Draws = 1000,
    as_json: _Json = False,
) -> None:
    """Measure a model on labelled files: figures with intervals, labels, slices, zones.

    Example: `fankui evaluate data/samples/test.jsonl --model default -o report/`
    """
    from training.evaluate import report_on
    from training.gate import Figures, check_gate, load_gate
    from training.scored import score_examples

    _checked_split(split)
    rules = load_gate(gate_file) if gate or gate_file else None
    predictor, kind = _load(model)
    examples = _read(files, predictor.schema, text_column, label_column)
    scored = score_examples(predictor, examples)
    reference = score_examples(_load(baseline)[0], examples, labels=predictor.schema) if baseline else None
    report = report_on(scored, reference=reference, split=split, draws=draws)
    if output is not None:
        from training.report_folder import write_report

        written = write_report(report, output, name=report.model_version, kind=kind)
        typer.echo(f"{len(written)} files are in {output}: report.json, card.md and plots", err=True)
    known = Figures(reference.model_version, reference.schema, reference.metrics(split)) if reference else None
    verdict = check_gate(report, known, rules) if rules else None

    def show() -> None:
        from training.report_tables import print_report

        print_report(report)

    _answer(report.to_dict(), verdict, show=show, as_json=as_json)


def compare(
    reference: Annotated[str, typer.Argument(help="Model to beat: bundle folder, 'default' or models:/NAME@ALIAS.")],
    candidate: Annotated[str, typer.Argument(help="Model that is to be better.")],
    files: _Files,
    *,
    all_figures: Annotated[
        bool, typer.Option("--all", help="Show every figure, not only each task's headline.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the differences into this PNG file.")] = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    gate: _Gate = False,
    gate_file: _GateFile = None,
    draws: _Draws = 1000,
    as_json: _Json = False,
) -> None:
    """Set two models side by side on the same rows, with a paired bootstrap of the difference.

    Example: `fankui compare default models/mine data/samples/test.jsonl --gate`
    """
    from training.compare import compare as compare_scored
    from training.gate import Figures, check_gate, load_gate
    from training.scored import score_examples

    rules = load_gate(gate_file) if gate or gate_file else None
    old, new = (_load(name)[0] for name in (reference, candidate))
    examples = _read(files, new.schema, text_column, label_column)
    before = score_examples(old, examples, labels=new.schema)
    after = score_examples(new, examples)
    comparison = compare_scored(before, after, draws=draws)
    if plot is not None:
        from training.plots import draw_differences, save

        save(draw_differences(comparison), plot)
    verdict = None
    if rules is not None:
        sides = [Figures(side.model_version, side.schema, side.metrics("test")) for side in (after, before)]
        verdict = check_gate(sides[0], sides[1], rules)

    def show() -> None:
        from training.report_tables import print_comparison

        print_comparison(comparison, all_figures=all_figures)

    _answer(comparison.to_dict(), verdict, show=show, as_json=as_json)


def _load(name: str | None) -> "tuple[BundlePredictor, str]":
    """The predictor and its kind."""
    from models.bundle import open_bundle
    from models.loading import load_predictor
    from models.resolving import resolve_model

    resolved = resolve_model(name)
    return load_predictor(resolved), open_bundle(resolved.path).kind


def _read(
    files: list[Path], schema: "LabelSchema", text_column: str, label_column: list[str] | None
) -> "list[Example]":
    from pipeline.columns import column_map, read_examples

    columns = column_map(text_column, label_column)
    return [example for file in files for example in read_examples(file, schema, columns=columns)]


def _checked_split(split: str) -> None:
    from pipeline.errors import UsageError

    if not split.isascii() or not split.replace("_", "").replace("-", "").isalnum():
        raise UsageError("split_invalid", f"--split is letters, digits, - and _; found {split!r}")


def _answer(document: dict[str, Any], verdict: "Verdict | None", *, show: Callable[[], None], as_json: bool) -> None:
    """Print the document as JSON or by `show`, the gate's verdict with it; raise GateFailed where it failed."""
    if as_json:
        told = document | {"gate": verdict.to_dict() if verdict else None}
        typer.echo(json.dumps(told, ensure_ascii=False, allow_nan=False))
    else:
        show()
        if verdict is not None:
            from training.report_tables import print_verdict

            print_verdict(verdict)
    if verdict is not None:
        verdict.require()
