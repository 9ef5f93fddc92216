"""`fankui score`: comments typed in, piped in, or in files. Never loads what trains."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from models.batch_scoring import ScoreOptions
    from models.predictor import BundlePredictor
    from pipeline.routing import RoutingPolicy


def score(  # noqa: PLR0917  (typer reads the options off the signature)
    args: Annotated[
        list[str], typer.Argument(metavar="ARG…", help="Comments, files (csv, jsonl, parquet, xlsx) or -.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write, or a folder for several files.")
    ] = None,
    as_text: Annotated[bool, typer.Option("--text", help="Every ARG is a comment, whatever it looks like.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Bundle folder, 'default', or models:/NAME@ALIAS. [default: the champion]")
    ] = None,
    routing: Annotated[Path | None, typer.Option(help="Routing policy. [default: the shipped one]")] = None,
    text_column: Annotated[str, typer.Option(help="Column that holds the comment.")] = "text",
    id_column: Annotated[str, typer.Option(help="Column that holds its id.")] = "id",
    channel_column: Annotated[str, typer.Option(help="Column that holds where it came in.")] = "channel",
    created_at_column: Annotated[str, typer.Option(help="Column that holds its time.")] = "created_at",
    sheet: Annotated[str | None, typer.Option(help="Sheet of a workbook. [default: its only one with rows]")] = None,
    prefix: Annotated[str, typer.Option(help="Before every output column, such as pred_.")] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace input columns that have an output's name.")
    ] = False,
    all_probabilities: Annotated[
        bool, typer.Option("--all-probabilities", help="One column (of comments: --json) for every label.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Tell which words speak for each label.")] = False,
    embeddings: Annotated[bool, typer.Option("--embeddings", help="Add the pooled embedding (networks only).")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use. [default: all]")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that score files. [default: one a core, one for small files]")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Score a text again each time that it comes.")] = False,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="ray: csv and parquet files or folders, on a cluster's cores.")
    ] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="HOST:PORT of the cluster. [default: RAY_ADDRESS, else this machine]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score comments or files: sentiment, category, aspects, urgency, and where each comment should go.

    An ARG is a file if it exists, looks like a path or a pattern, or ends in a known extension; otherwise a comment.

    Example: `fankui score "快递三天没到，客服也不回"`

    Example: `fankui score comments.xlsx -o scored.xlsx --explain`
    """
    from models.batch_scoring import ScoreOptions
    from pipeline.columns import ColumnMap

    options = ScoreOptions(
        columns=ColumnMap(text=text_column, id=id_column, channel=channel_column, created_at=created_at_column),
        prefix=prefix,
        overwrite=overwrite,
        all_probabilities=all_probabilities,
        explain=explain,
        embeddings=embeddings,
    )
    asked: dict[str, Any] = {"model": model, "routing": routing, "options": options, "sheet": sheet}
    asked |= {"as_text": as_text, "as_json": as_json, "threads": threads, "workers": workers, "cached": not no_cache}
    if engine == "ray" or ray_address is not None:
        from models.ray_cli import score_by_ray

        score_by_ray(args, output, engine=engine, address=ray_address, **asked)
    else:
        _score_here(args, output, **asked)


def _score_here(
    args: list[str],
    output: Path | None,
    *,
    model: str | None,
    routing: Path | None,
    options: "ScoreOptions",
    sheet: str | None,
    as_text: bool,
    as_json: bool,
    threads: int | None,
    workers: int | None,
    cached: bool,
) -> None:
    from models.routed import load_routed
    from models.score_arguments import file_targets, files_or_texts, refuse_file_options

    files, texts = files_or_texts(args, as_text=as_text)
    folders = [Path(arg) for arg in args if files and Path(arg).is_dir()]
    targets = file_targets(files, output, folders=folders, patterns=args if files else ())
    if not files:
        refuse_file_options(options, sheet=sheet, as_json=as_json)
    resolved, predictor, policy = load_routed(model, routing, threads=threads)
    if files:
        from models.score_files import score_files

        score_files(
            targets,
            sheet=sheet,
            predictor=predictor,
            policy=policy,
            options=options,
            model=resolved,
            workers=workers,
            cores=threads,
            cached=cached,
            as_json=as_json,
        )
    else:
        _score_texts(texts, predictor=predictor, policy=policy, options=options, as_json=as_json)


def _score_texts(
    texts: list[object],
    *,
    predictor: "BundlePredictor",
    policy: "RoutingPolicy",
    options: "ScoreOptions",
    as_json: bool,
) -> None:
    from rich.console import Console

    from models.answer import error_item, every_probability, item
    from models.evidence import explain
    from models.score_display import evidence_item, show_answer, show_error
    from pipeline.errors import FeedbackError
    from pipeline.feedback import Feedback

    now = datetime.now().astimezone()
    thresholds = predictor.calibration.thresholds()
    results: list[dict[str, Any]] = []
    console = Console()
    for i, (text, answer) in enumerate(zip(texts, predictor.predict_each(texts), strict=True), 1):
        if isinstance(answer, FeedbackError):
            if len(texts) == 1:
                raise answer
            results.append(error_item(answer, id=str(i)))
            if not as_json:
                show_error(console, i, answer)
            continue
        decision = policy.decide(answer, Feedback(text=str(text)), thresholds=thresholds, now=now)
        evidence = explain(predictor, str(text)) if options.explain else []
        body = item(answer, decision=decision, id=str(i))
        if options.explain:
            body["evidence"] = [evidence_item(one) for one in evidence]
        if options.all_probabilities:
            body["probabilities"] = every_probability(answer)
        results.append(body)
        if not as_json:
            show_answer(console, predictor.schema, str(text), answer, decision=decision, evidence=evidence)
    if as_json:
        versions = {"model_version": predictor.model_version, "schema_version": predictor.schema.version}
        typer.echo(json.dumps({"results": results, **versions}, ensure_ascii=False))
