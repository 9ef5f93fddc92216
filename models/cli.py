"""`fankui score`: comments typed in, piped in, or in files. Never loads what trains."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from models.batch import ScoreOptions, ScoreSummary
    from models.predictor import BundlePredictor
    from pipeline.readers import RowFile
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score comments or files: sentiment, category, aspects, urgency, and where each comment should go.

    An ARG is a file if it exists, looks like a path or a pattern, or ends in a known extension; otherwise a comment.

    Example: `fankui score "快递三天没到，客服也不回"`

    Example: `fankui score comments.xlsx -o scored.xlsx --explain`
    """
    from models.batch import ScoreOptions
    from models.score_arguments import files_or_texts, refuse_file_options
    from pipeline.columns import ColumnMap
    from pipeline.routing import load_policy

    files, texts = files_or_texts(args, as_text=as_text)
    options = ScoreOptions(
        columns=ColumnMap(text=text_column, id=id_column, channel=channel_column, created_at=created_at_column),
        prefix=prefix,
        overwrite=overwrite,
        all_probabilities=all_probabilities,
        explain=explain,
        embeddings=embeddings,
    )
    targets = _targets(files, output)
    if not files:
        refuse_file_options(options, sheet=sheet, as_json=as_json)
    policy = load_policy(routing)
    predictor = _predictor(model, threads)
    if routing is not None:  # nobody wrote the shipped one for this model's labels
        policy.check(predictor.schema)
    if files:
        _score_files(targets, sheet=sheet, predictor=predictor, policy=policy, options=options, as_json=as_json)
    else:
        _score_texts(texts, predictor=predictor, policy=policy, options=options, as_json=as_json)


def _targets(files: list[Path], output: Path | None) -> list[tuple[Path, Path]]:
    """Source and target of every file."""
    if not files:
        if output is not None:
            raise UsageError(
                "output_needs_file", "-o is for files; a comment's answer is printed (--json for programs)"
            )
        return []
    if output is None:
        raise UsageError(
            "output_missing", f"say where to write: -o FILE{files[0].suffix}, or -o FOLDER for several files"
        )
    if len(files) == 1 and not output.is_dir():
        return [(files[0], output)]
    if output.suffix and not output.is_dir():
        raise UsageError("output_no_folder", f"{len(files)} files go into a folder; {output} looks like a file")
    names = [file.name for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError("output_clash", f"several files are named {twice[0]}; score them one at a time")
    return [(file, output / file.name) for file in files]


def _predictor(model: str | None, threads: int | None) -> "BundlePredictor":
    from models.loading import load_predictor
    from models.resolving import resolve_model

    return load_predictor(resolve_model(model), threads=threads)


def _score_files(
    targets: list[tuple[Path, Path]],
    *,
    sheet: str | None,
    predictor: "BundlePredictor",
    policy: "RoutingPolicy",
    options: "ScoreOptions",
    as_json: bool,
) -> None:
    from rich.console import Console

    from pipeline.readers import open_file

    done: list[dict[str, Any]] = []
    for source, target in targets:
        opened = open_file(source, sheet=sheet)
        summary = _score_file(opened, target, predictor=predictor, policy=policy, options=options)
        done.append({"source": str(source), **_summary(summary)})
        if not as_json:
            Console(stderr=True).print(_line(source, summary), highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"files": done, "model_version": predictor.model_version}, ensure_ascii=False))


def _score_file(
    source: "RowFile", target: Path, *, predictor: "BundlePredictor", policy: "RoutingPolicy", options: "ScoreOptions"
) -> "ScoreSummary":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.batch import score_file

    look = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*look, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task(source.path.name, total=source.count())
        try:
            return score_file(
                source,
                target,
                predictor=predictor,
                policy=policy,
                options=options,
                progress=lambda rows: bar.update(line, completed=rows),
            )
        except KeyboardInterrupt:
            typer.echo("fankui: stopped; what is scored is kept, the same command goes on from there", err=True)
            raise


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


def _summary(summary: "ScoreSummary") -> dict[str, Any]:
    return {
        "target": str(summary.target),
        "rows": summary.rows,
        "failed": summary.failed,
        "resumed": summary.resumed,
        "zones": dict(sorted(summary.zones.items())),
        "seconds": round(summary.seconds, 3),
    }


def _line(source: Path, summary: "ScoreSummary") -> str:
    zones = ", ".join(f"{zone} {count:,}" for zone, count in sorted(summary.zones.items())) or "none"
    failed = f", {summary.failed:,} with an error (see its column)" if summary.failed else ""
    resumed = f", {summary.resumed:,} of them from an earlier run" if summary.resumed else ""
    rows = f"{summary.rows:,} rows{resumed}{failed}; {zones}; {summary.seconds:.1f} s"
    return f"{source} -> {summary.target}: {rows}; model {summary.model_version}"
