"""The command-line side of `fankui score --engine ray`: what it takes, its progress, and what it tells at the end."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from models.batch_scoring import ScoreOptions
    from models.ray_scoring import RaySummary


def score_by_ray(
    args: Sequence[str],
    output: Path | None,
    *,
    engine: str,
    model: str | None,
    routing: Path | None,
    options: "ScoreOptions",
    address: str | None,
    sheet: str | None,
    as_text: bool,
    as_json: bool,
    threads: int | None,
    workers: int | None,
    cached: bool,
) -> None:
    """Score the files and folders that the ARGs name into `output`. Raises UsageError for what Ray cannot honor."""
    if engine != "ray":
        raise UsageError("ray_option", "--ray-address is for --engine ray; give both, or neither")
    given = [name for name, there in (("--text", as_text), ("--sheet", sheet is not None), ("-", "-" in args)) if there]
    if given:
        raise UsageError("ray_option", f"{', '.join(given)}: not with --engine ray; leave it out, or score without it")
    if output is None:
        raise UsageError("output_missing", "say where to write: -o FOLDER, or -o FILE for a single file")
    from models.loading import open_model
    from models.ray_input import find_sources
    from models.resolving import resolve_model
    from pipeline.routing import load_policy

    sources = find_sources(args)
    policy = load_policy(routing)
    chosen = resolve_model(model)
    if routing is not None:  # nobody wrote the shipped one for this model's labels
        policy.check(open_model(chosen).schema)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.ray_scoring import count_rows, score_with_ray

    console = Console(stderr=True)
    look = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*look, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task("Ray", total=count_rows(sources))
        try:
            summary = score_with_ray(
                sources,
                output,
                model=chosen,
                policy=policy,
                options=options,
                address=address,
                actors=workers or threads,
                cached=cached,
                progress=lambda rows: bar.update(line, completed=rows),
            )
        except KeyboardInterrupt:
            typer.echo("fankui: stopped; what is scored is kept, the same command goes on from there", err=True)
            raise
    if as_json:
        typer.echo(json.dumps(_body(summary), ensure_ascii=False))
    else:
        console.print(_line(summary), highlight=False, soft_wrap=True)


def _body(summary: "RaySummary") -> dict[str, Any]:
    return {
        "target": str(summary.target),
        "files": summary.files,
        "rows": summary.rows,
        "failed": summary.failed,
        "resumed": summary.resumed,
        "cached": summary.cached,
        "zones": summary.zones,
        "seconds": round(summary.seconds, 3),
        "starting": round(summary.starting, 3),
        "model_version": summary.model_version,
    }


def _line(summary: "RaySummary") -> str:
    zones = ", ".join(f"{zone} {count:,}" for zone, count in summary.zones.items()) or "none"
    failed = f", {summary.failed:,} with an error (see its column)" if summary.failed else ""
    resumed = f", {summary.resumed:,} of them from an earlier run" if summary.resumed else ""
    cached = f", {summary.cached:,} of them from the cache" if summary.cached else ""
    files = "1 file" if summary.files == 1 else f"{summary.files:,} files"
    time = f"{summary.seconds:.1f} s, {summary.starting:.1f} s of them to start"
    rows = f"{summary.rows:,} rows{resumed}{cached}{failed}; {zones}; {time}"
    return f"{files} -> {summary.target}: {rows}; model {summary.model_version}"
