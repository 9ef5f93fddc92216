"""`fankui promote`: a model becomes the champion if it passes the gate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import LabelColumn, TextColumn
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.schema import LabelSchema


def promote(
    model: Annotated[str, typer.Argument(help="Bundle folder, 'default', models:/NAME/VERSION or models:/NAME@ALIAS.")],
    *,
    on: Annotated[
        list[Path] | None, typer.Option(help="Labelled file to measure it on beside the champion; may be repeated.")
    ] = None,
    against: Annotated[str | None, typer.Option(help="Model to hold it against instead of the champion.")] = None,
    gate_file: Annotated[Path | None, typer.Option(help="Gate rules (TOML) instead of the shipped ones.")] = None,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Promote it whatever its figures are.")] = False,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a model the champion: the one that `score` and `serve` use when none is named.

    It is measured on the rows of --on beside the champion, as far as that answers the same tasks, else beside the
    shipped model, and the gate compares them. Exit code 3: it did not pass, nothing was moved.

    Example: `fankui promote models:/fankui@challenger --on data/samples/test.jsonl`
    """
    from models.champion import fankui_home
    from models.promotion import align_registry
    from pipeline.columns import column_map, read_examples
    from training.gate import load_gate
    from training.promote import promote as move

    if not on and not no_gate:
        raise UsageError(
            "rows_missing",
            "say what to measure it on: --on FILE with labelled rows; or --no-gate to promote it unmeasured",
        )
    if no_gate and (on or against or gate_file):
        raise UsageError("no_gate_clash", "--no-gate measures nothing; leave it out, or leave out what is to measure")
    home = fankui_home()
    rules = None if no_gate else load_gate(gate_file)
    examples = []
    if on:
        schema = _schema_of(model, home)
        columns = column_map(text_column, label_column)
        examples = [example for file in on for example in read_examples(file, schema, columns=columns)]
    champion, verdict = move(model, home=home, gate=rules, examples=examples, against=against)
    if as_json:
        document = {
            "champion": f"{champion.name}/{champion.version}",
            "digest": champion.digest,
            "gate": verdict.to_dict() if verdict else None,
        }
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        if verdict is not None:
            from training.report_tables import print_verdict

            print_verdict(verdict)
        typer.echo(f"champion is now {champion.name}/{champion.version}")
    warning = align_registry(home, repair=f"fankui rollback --to {champion.name}/{champion.version}")
    if warning:
        typer.echo(f"fankui: {warning}", err=True)


def _schema_of(model: str, home: Path) -> "LabelSchema":
    from models.bundle import open_bundle
    from models.promotion import fetch

    return open_bundle(fetch(model, home=home).folder(home)).schema
