"""`fankui calibrate`: make a model's probabilities mean what they say on one's own rows, without training it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import LabelColumn, TextColumn


def calibrate(
    model: Annotated[str, typer.Argument(help="Bundle folder, 'default' or models:/NAME@ALIAS.")],
    file: Annotated[Path, typer.Argument(help="Labelled rows that the model was not trained on.")],
    *,
    test: Annotated[Path, typer.Option(help="Labelled rows to measure the new model on.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")],
    split: Annotated[str, typer.Option(help="Name of the rows of --test in figures, such as test or dev.")] = "test",
    precision: Annotated[float, typer.Option(min=0.5, max=1.0, help="Wanted of the answers in the zone `auto`.")] = 0.9,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Fit temperatures, cuts, thresholds and a joint model's mix on labelled rows; the weights stay as they are.

    Rows that --test holds too are left out.

    Example: `fankui calibrate default parts/dev.jsonl --test parts/test.jsonl -o models/mine`
    """
    from models.loading import open_model
    from models.resolving import resolve_model
    from pipeline.columns import column_map
    from training.few_rows import never_auto, unsure
    from training.recalibrate import recalibrate
    from training.report_tables import print_calibrations, print_report
    from training.rows import input_file, part, read_rows

    bundle = open_model(resolve_model(model))
    columns = column_map(text_column, label_column)
    rows, measured = (read_rows(path, bundle.schema, columns=columns) for path in (file, test))
    parts = part([rows], measured, None, calibration=0.0, seed=0)
    source = input_file(file, role="calibration", rows=len(rows))
    found = recalibrate(bundle, parts.train, measured, file=source, folder=output, split=split, precision=precision)
    if as_json:
        document = {**found.report.to_dict(), "before": found.before.metrics}
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        print_report(found.report)
        print_calibrations(found.before, found.report)
    if found.few:
        typer.echo(never_auto(found.few), err=True)
    if parts.leaked:
        typer.echo(f"{parts.leaked} rows left out: {test.name} holds the same or nearly the same text", err=True)
    typer.echo(
        f"{found.bundle.version} is in {output}, calibrated on {len(parts.train):,} rows{unsure(len(parts.train))}",
        err=True,
    )
