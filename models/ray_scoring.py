"""`fankui score --engine ray`: the same model over csv and parquet files, on all cores of a machine or of a cluster.

    fankui score --engine ray comments/ -o scored/
    fankui score --engine ray comments.parquet -o scored.parquet --ray-address 10.0.0.5:6379

Ray Data streams: a reader cuts the files into slices of thousands of rows, and `map_batches` hands whole slices to
actors, one a core, which tokenize, sort, score and write (models/ray_actor.py). Only reports come back. The answers
gather beside the target (models/ray_job.py), which appears whole or not at all.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.batch_columns import OutputColumns
from models.batch_scoring import ScoreOptions, output_columns
from models.bundle import MANIFEST, ModelBundle
from models.loading import ResolvedModel, model_version, open_model
from models.precision import PRECISION_VARIABLE
from models.ray_actor import Reader, Scorer, Work
from models.ray_input import FORMATS, Source, row_groups
from models.ray_job import MOST_TRIES, Report, finish, open_job
from models.ray_session import Session, lasting_interrupt, ray_session
from pipeline.columns import require_columns
from pipeline.errors import DataError, UsageError
from pipeline.readers import FORMATS as ALL_FORMATS
from pipeline.readers import open_file
from pipeline.routing import RoutingPolicy

# Rows that an actor scores at a time. Few, and the last actor is waited for; many, and there are few files.
_LEAST_ROWS, _MOST_ROWS = 2048, 32_768
_SLICES = 100  # wanted
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class RaySummary:
    """What a run did. `starting`: seconds until the first row was scored, out of `seconds`."""

    target: Path
    files: int
    rows: int
    failed: int
    resumed: int
    cached: int
    zones: dict[str, int]
    seconds: float
    starting: float
    model_version: str


def score_with_ray(
    sources: Sequence[Source],
    target: Path,
    *,
    model: ResolvedModel,
    policy: RoutingPolicy,
    options: ScoreOptions | None = None,
    address: str | None = None,
    actors: int | None = None,
    cached: bool = True,
    progress: Callable[[int], None] | None = None,
) -> RaySummary:
    """Score all sources into the folder `target`, or a single one into a file; `progress` gets the rows done so far.

    Raises UsageError and DataError as models/batch.py does, BundleError, and ClusterError for Ray itself.
    """
    started, clock = time.time(), time.monotonic()
    options = options or ScoreOptions()
    bundle = open_model(model)
    merge = _plan(sources, target, bundle, options)
    key = _key(sources, bundle=bundle, registered=model.version, policy=policy, options=options, merge=merge)
    with open_job(target, key, slice_rows=_slice_rows(sources)) as job:
        reports = job.reports()
        resumed = sum(report.rows for report in reports)
        work = Work(
            folder=job.folder.absolute(),
            sources=tuple(sources),
            extension=target.suffix.lower() if merge else None,
            slice_rows=job.slice_rows,
            done=frozenset((report.source, report.first_row) for report in reports),
            policy=policy,
            options=options,
            now=job.now,
            cached=cached and not options.explain,
            digest=bundle.digest,
            registered=model.version,
            precision=os.environ.get(PRECISION_VARIABLE),
        )
        with lasting_interrupt() as check, ray_session(address, actors=actors) as session:
            for report in _persistent(work, bundle, session):
                check()
                reports.append(report)
                if progress is not None:
                    progress(sum(one.rows for one in reports))
        finish(job, target, reports, sources=sources, merge=merge)
    fresh = [report.began for report in reports if report.began >= started]
    return RaySummary(
        target=target,
        files=len(sources),
        rows=sum(report.rows for report in reports),
        failed=sum(report.failed for report in reports),
        resumed=resumed,
        cached=sum(report.cached for report in reports),
        zones=_total(reports),
        seconds=time.monotonic() - clock,
        starting=min(fresh, default=started) - started,
        model_version=model_version(bundle, model.version),
    )


def count_rows(sources: Sequence[Source]) -> int:
    """About how many rows there are. Raises as `open_file`."""
    return sum(open_file(source.path).count() or 0 for source in sources)


def _persistent(work: Work, bundle: ModelBundle, session: Session) -> Iterator[Report]:
    """As `_stream`, begun again a few times with what is left where Ray loses more than it can make good itself."""
    from ray.exceptions import RayError, RayTaskError

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            for report in _stream(work, bundle, session):
                work = replace(work, done=work.done | {(report.source, report.first_row)})
                yield report
            return
        except RayError as error:
            # An exception of ours would only come again.
            if attempt == _ATTEMPTS or isinstance(error, RayTaskError):
                raise


def _stream(work: Work, bundle: ModelBundle, session: Session) -> Iterator[Report]:
    """Reports of all slices that are not done yet, as they come."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy, from_arrow

    units = _units(work)
    if not units:
        return
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_consecutive_actor_init_deaths = MOST_TRIES
    context.target_max_block_size = 1  # bytes: every slice is a block of its own, else one actor would get them all
    files = ray.put({name: bundle.read(name) for name in (*bundle.manifest["files"], MANIFEST)})
    tables = [pa.table({"unit": [json.dumps(unit)]}) for unit in units]
    reports = (
        from_arrow(tables)
        # A reader keeps a hundred actors busy, and takes no core from them to be counted.
        .map_batches(
            Reader(work).__call__,
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=0,
            compute=TaskPoolStrategy(size=min(len(units), 1 + session.actors // 64)),
        )
        .map_batches(
            Scorer,
            fn_constructor_args=(work, files),
            batch_size=1,
            batch_format="pyarrow",
            zero_copy_batch=True,
            num_cpus=1,
            compute=ActorPoolStrategy(size=session.actors),
        )
    )
    for row in reports.iter_rows():
        told = json.loads(row["report"])
        if "error" in told:
            code, message = told["error"]
            raise DataError(code, message)
        yield Report(**told)


def _units(work: Work) -> list[tuple[int, int, tuple[int, ...] | None, bool]]:
    """What is to be read: source, first row, row groups (csv: None), and whether the source ends there."""
    units = []
    for number, source in enumerate(work.sources):
        found = row_groups(source)
        units += [(number, row, groups, i == len(found)) for i, (row, groups) in enumerate(found, 1)]
    return units


def _total(reports: Sequence[Report]) -> dict[str, int]:
    zones: dict[str, int] = {}
    for report in reports:
        for zone, count in report.zones.items():
            zones[zone] = zones.get(zone, 0) + count
    return dict(sorted(zones.items()))


def _plan(sources: Sequence[Source], target: Path, bundle: ModelBundle, options: ScoreOptions) -> bool:
    """Refuse what cannot be done before anything is started; returns whether the parts become one file."""
    if options.embeddings and bundle.kind == "linear":
        raise UsageError(
            "no_embeddings", f"{bundle.version} has no embeddings; leave --embeddings out or name a network"
        )
    merge = target.suffix.lower() in ALL_FORMATS and not target.is_dir()
    _check_target(sources, target, merge=merge)
    added = output_columns(bundle, options, nested=False)
    first: list[str] | None = None
    for source in sources:
        file = open_file(source.path)
        require_columns(file, replace(options.columns, labels={}))
        if options.columns.text in {options.prefix + column.name for column in added}:
            raise UsageError(
                "columns_clash", f"the text column {options.columns.text!r} is an output name; give --prefix pred_"
            )
        OutputColumns(file, added, prefix=options.prefix, overwrite=options.overwrite, nested=False)
        first = first or list(file.column_names)
        if set(file.column_names) != set(first):
            unlike = ", ".join(sorted(set(file.column_names) ^ set(first)))
            raise DataError(
                "columns_differ",
                f"{source.path} and {sources[0].path} go into one folder, and these columns are in one of them only: "
                f"{unlike}; score them one by one",
            )
    return merge


def _check_target(sources: Sequence[Source], target: Path, *, merge: bool) -> None:
    place = target.absolute()
    for source in sources:
        if place == source.path or place in source.path.parents:
            raise UsageError("same_file", f"{target} holds the input itself; write to another place with -o")
    if merge and ALL_FORMATS[target.suffix.lower()] not in FORMATS:
        raise UsageError(
            "ray_format", f"--engine ray writes csv, tsv and parquet; name such a file instead of {target}"
        )
    if merge and len(sources) > 1:
        raise UsageError("output_no_folder", f"{len(sources)} files go into a folder; {target} looks like a file")
    if not merge and target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(
            "output_exists", f"{target} is there already; a scored folder is new: name another, or remove it"
        )


def _key(
    sources: Sequence[Source],
    *,
    bundle: ModelBundle,
    registered: str | None,
    policy: RoutingPolicy,
    options: ScoreOptions,
    merge: bool,
) -> dict[str, Any]:
    """What must be the same for parts to be used again. Files by size and time: theirs may be many gigabytes."""
    return {
        "sources": [[str(one.path), one.path.stat().st_size, one.path.stat().st_mtime_ns] for one in sources],
        "model": model_version(bundle, registered),
        "policy": repr(policy),
        "options": json.loads(json.dumps(asdict(options), default=str)),
        "precision": os.environ.get(PRECISION_VARIABLE),
        "merge": merge,
    }


def _slice_rows(sources: Sequence[Source]) -> int:
    """About as many slices as are wanted; a run that goes on keeps the size it began with."""
    return max(_LEAST_ROWS, min(_MOST_ROWS, count_rows(sources) // _SLICES))
