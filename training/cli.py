"""`fankui train`: labelled files in, a tracked and registered model out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import LabelColumn

if TYPE_CHECKING:
    from training.train import TrainResult

_Files = Annotated[list[Path] | None, typer.Option("--train", help="Labelled rows to train on; may be repeated.")]


def train(  # noqa: PLR0917
    train_files: _Files = None,
    dev: Annotated[Path | None, typer.Option(help="Labelled rows to choose the best epoch by.")] = None,
    test: Annotated[Path | None, typer.Option(help="Labelled rows that nothing is chosen by.")] = None,
    model: Annotated[str | None, typer.Option(help="joint (default: both together), network, or linear.")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="shipped (default), none (random weights), or a Hugging Face encoder: a folder or hub name."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Model to go on from: default, a bundle's folder or models:/NAME/2.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit of a hub encoder, 40 hexadecimal digits.")] = None,
    profile: Annotated[str | None, typer.Option(help="quick (hundreds of rows) or full (default; thousands).")] = None,
    schema: Annotated[Path | None, typer.Option(help="Label schema in TOML; default: the shipped one.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML, as a training prints them.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key=value over all other settings.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    label_column: LabelColumn = None,
    name: Annotated[str | None, typer.Option(help="Name of the model, also in the registry.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of this training; default: a new one in runs/.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same rows: same model.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    no_register: Annotated[bool, typer.Option("--no-register", help="Track the run but register no version.")] = False,
    no_track: Annotated[bool, typer.Option("--no-track", help="Leave MLflow out altogether.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a model on labelled files, track it in MLflow and register it.

    Example: `fankui train --train data/samples/train.jsonl --dev data/samples/dev.jsonl --model linear`
    """
    from training.config import resolve
    from training.processes import is_first
    from training.progress import Silent, Terminal
    from training.train import train as run

    options: dict[str, Any] = {
        "train": train_files or None,
        "dev": dev,
        "test": test,
        "model": model,
        "profile": profile,
        "schema": schema,
        "text_column": text_column,
        "label_columns": label_column or None,
        "name": name,
        "output": output,
        "seed": seed,
        "resume": resume or None,
        "register": False if no_register else None,
        "track": False if no_track else None,
        "network": {"encoder": encoder, "revision": revision, "start": start},
    }
    settings = resolve(options, file=config, overrides=overrides or ())
    result = run(settings, progress=Terminal() if is_first() else Silent(), show_settings=True)
    if result is None:
        return
    if as_json:
        typer.echo(json.dumps(_document(result), ensure_ascii=False))
    else:
        _show(result)


def _document(result: "TrainResult") -> dict[str, Any]:
    return {
        "model_version": result.bundle.version,
        "bundle": str(result.bundle.path),
        "folder": str(result.folder),
        "run_id": result.run_id,
        "registered": result.version,
        "metrics": result.bundle.json("metrics.json"),
    }


def _show(result: "TrainResult") -> None:
    from rich.console import Console
    from rich.table import Table

    from training.metrics import HEADLINE

    table = Table("task", "figure", *result.reports, title=result.bundle.version)
    for task in result.bundle.schema.tasks:
        figure = HEADLINE[task.kind]
        values = [report.figure(task.name, figure) for report in result.reports.values()]
        table.add_row(task.name, figure, *("-" if value is None else f"{value:.3f}" for value in values))
    console = Console()
    console.print(table)
    console.print(f"bundle  {result.bundle.path}", soft_wrap=True)
    console.print(f"report  {result.folder / 'report' / 'card.md'}", soft_wrap=True)
    console.print(f"next    fankui score --model {result.bundle.path} 快递三天没到，客服也不回", soft_wrap=True)
