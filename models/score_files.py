"""`fankui score FILE…`: which file is written where, one after the other in one session, with a line of progress."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from models.batch import ScoreOptions, ScoreProgress, ScoreSummary, score_file
from models.batch_journal import forget
from models.batch_session import Session, scoring_session, worker_count
from models.loading import ResolvedModel
from models.predictor import BundlePredictor
from pipeline.columns import require_columns
from pipeline.readers import RowFile, open_file
from pipeline.routing import RoutingPolicy


def score_files(
    targets: Sequence[tuple[Path, Path]],
    *,
    sheet: str | None,
    predictor: BundlePredictor,
    policy: RoutingPolicy,
    options: ScoreOptions,
    model: ResolvedModel,
    workers: int | None,
    cores: int | None = None,
    cached: bool = True,
    as_json: bool = False,
) -> None:
    """Score every source into its target and tell of each. `workers` None: as many as pay, of `cores`.

    A run over several files that was killed passes over those that it had finished.
    """
    count = workers or worker_count([source for source, _ in targets], cores=cores)
    several = len(targets) > 1
    done: list[dict[str, Any]] = []
    files = [open_file(source, sheet=sheet) for source, _ in targets]
    for file in files:  # a column that is missing in the last one is told before the first is scored
        require_columns(file, replace(options.columns, labels={}))
    with _kept(), scoring_session(predictor, policy, options, model=model, workers=count, cached=cached) as session:
        for file, (source, target) in zip(files, targets, strict=True):
            summary = _score(file, target, session, keep_mark=several)
            done.append({"source": str(source), **_told(summary)})
            if not as_json:
                Console(stderr=True).print(_line(source, summary), highlight=False, soft_wrap=True)
    for _, target in targets:
        forget(target)
    if as_json:
        typer.echo(json.dumps({"files": done, "model_version": predictor.model_version}, ensure_ascii=False))


@contextmanager
def _kept() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("fankui: stopped; what is scored is kept, the same command goes on from there", err=True)
        raise


def _score(source: RowFile, target: Path, session: Session, *, keep_mark: bool) -> ScoreSummary:
    look = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    console = Console(stderr=True)
    scorer = session.scorer
    with Progress(*look, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task(source.path.name, total=source.count(), cached=0)

        def tell(done: ScoreProgress) -> None:
            bar.update(line, completed=done.rows, cached=done.cached)

        return score_file(
            source,
            target,
            predictor=scorer.predictor,
            policy=scorer.policy,
            options=scorer.options,
            session=session,
            progress=tell,
            keep_mark=keep_mark,
        )


class _Rate(ProgressColumn):
    """Rows a second of late, and how many rows took no pass of the model."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        rate = "" if speed is None else f"{speed:,.0f} rows/s"
        cached = task.fields.get("cached", 0)
        return Text(f"{rate} ({cached:,} from the cache)" if cached else rate, style="progress.data.speed")


def _told(summary: ScoreSummary) -> dict[str, Any]:
    return {
        "target": str(summary.target),
        "rows": summary.rows,
        "failed": summary.failed,
        "resumed": summary.resumed,
        "cached": summary.cached,
        "zones": dict(sorted(summary.zones.items())),
        "seconds": round(summary.seconds, 3),
    }


def _line(source: Path, summary: ScoreSummary) -> str:
    zones = ", ".join(f"{zone} {count:,}" for zone, count in sorted(summary.zones.items())) or "none"
    failed = f", {summary.failed:,} with an error (see its column)" if summary.failed else ""
    resumed = f", {summary.resumed:,} of them from an earlier run" if summary.resumed else ""
    cached = f", {summary.cached:,} of them from the cache" if summary.cached else ""
    rows = f"{summary.rows:,} rows{resumed}{cached}{failed}; {zones}; {summary.seconds:.1f} s"
    rate = (summary.rows - summary.resumed) / summary.seconds if summary.seconds >= 1 else 0
    told = f" ({rate:,.0f} rows/s)" if rate >= 1 else ""
    return f"{source} -> {summary.target}: {rows}{told}; model {summary.model_version}"
