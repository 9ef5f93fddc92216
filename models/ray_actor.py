"""What runs on the machines of a Ray cluster: a reader that cuts files into slices, and actors that score them."""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.batch_flow import Flow
from models.batch_join import Joined
from models.batch_rows import RowReader
from models.batch_scoring import ScoreOptions, output_columns
from models.batch_segment import EVIDENCE, Segment
from models.batch_session import scoring_session
from models.batch_tables import answer_table
from models.loading import ResolvedModel, load_predictor
from models.precision import PRECISION_VARIABLE
from models.predictor import BundlePredictor
from models.ray_input import Slice, Source, from_bytes, read_slices, slice_rows_of, to_bytes
from models.ray_job import Report, count_try, part_name
from pipeline.errors import DataError, FeedbackError
from pipeline.routing import RoutingPolicy
from pipeline.rows import BAD_ROW, Row
from pipeline.writers import Column, open_writer

_JOB_TEXTS = 8192  # prepared and tokenized at once; sorted by length


@dataclass(frozen=True)
class Work:
    """All that readers and actors need to know; small, because every task carries it."""

    folder: Path  # of the job, on storage that every machine sees
    sources: tuple[Source, ...]
    extension: str | None  # of the parts; None: that of their source
    slice_rows: int
    done: frozenset[tuple[int, int]]  # source and first row of slices scored by an earlier run
    policy: RoutingPolicy
    options: ScoreOptions
    now: datetime
    cached: bool  # a text that an actor has met before is not scored again
    digest: str  # of the model
    registered: str | None
    precision: str | None  # as the driver's environment names it: a machine of the cluster has its own


class Reader:
    """From {"unit"} rows, JSON of (source, first row, row groups, ends), to {"slice", "table"} rows, one a slice."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __call__(self, units: pa.Table) -> Iterator[pa.Table]:
        for unit in units["unit"].to_pylist():
            number, first_row, groups, ends = json.loads(unit)
            done = {row for source, row in self._work.done if source == number}
            try:
                self._require_file(self._work.sources[number].path)
                for piece in read_slices(
                    self._work.sources[number],
                    number,
                    first_row=first_row,
                    groups=groups,
                    slice_rows=self._work.slice_rows,
                    done=done,
                    ends=ends,
                ):
                    yield _packed(piece)
            except FeedbackError as error:
                yield pa.table({"slice": [json.dumps(_problem(error))], "table": [b""]})

    def _require_file(self, path: Path) -> None:
        if not path.exists():
            raise DataError(
                "file_missing",
                f"a machine of the cluster does not see {path}; put it on storage that all of them mount at one place",
            )


class Scorer:
    """An actor: one model on one core. From the reader's rows to {"report"} rows; it writes the parts itself.

    `files` refers to the bundle's files by name: the driver's disk need not be this machine's. They are checked
    against the manifest here again.
    """

    def __init__(self, work: Work, files: Any) -> None:
        self._work = work
        self._error: FeedbackError | None = None
        self._open = ExitStack()
        try:
            if not (work.folder / "job.json").exists():
                raise DataError(
                    "folder_missing",
                    f"a machine of the cluster does not see {work.folder}; name an output on storage that all of them "
                    "mount at one place",
                )
            self._predictor = unpack(_fetched(files), work)
        except FeedbackError as error:  # raised here it would be tried again and again, and lose its code on the way
            self._error = error
            return
        self._session = self._open.enter_context(
            scoring_session(self._predictor, work.policy, work.options, cached=work.cached)
        )
        self._reader = RowReader(work.options.columns, work.policy, now=work.now)

    def __call__(self, slices: pa.Table) -> pa.Table:
        return pa.table({"report": [self._report(head, body) for head, body in _pairs(slices)]})

    def _report(self, head: str, body: pa.Buffer) -> str:
        told = json.loads(head)
        if "error" in told:
            return head
        try:
            if self._error is not None:
                raise self._error
            return json.dumps(asdict(self._score(Slice(**told, table=from_bytes(body)))))
        except FeedbackError as error:
            return json.dumps(_problem(error))

    def _score(self, piece: Slice) -> Report:
        began, clock = time.time(), time.monotonic()
        source = self._work.sources[piece.source]
        count_try(self._work.folder, source, piece.source, piece.first_row)
        rows = slice_rows_of(piece, source.format)
        segment, cached = self._answers(rows)
        extension = self._work.extension or source.path.suffix.lower()
        part = part_name(source, piece.first_row, extension)
        path = self._work.folder / "parts" / part
        path.parent.mkdir(parents=True, exist_ok=True)
        if extension == ".parquet":
            self._write_parquet(path, piece.table, segment)
        else:
            self._write_csv(path, piece.table, rows, segment)
        joined = Joined()
        joined.count(segment)
        report = Report(
            source=piece.source,
            first_row=piece.first_row,
            rows=len(rows),
            last=piece.last,
            part=part,
            failed=joined.failed,
            cached=cached,
            zones=joined.zones,
            began=began,
            seconds=time.monotonic() - clock,
        )
        report.write(self._work.folder)
        return report

    def _answers(self, rows: Sequence[Row]) -> tuple[Segment, int]:
        """The rows' answers, and how many of them took no pass of the model."""
        session, options = self._session, self._work.options
        flow = Flow(
            session.pool, session.scorer.layout, cache=session.cache, explain=options.explain, job_texts=_JOB_TEXTS
        )
        flow.add(1, self._reader.read(rows))
        ((_, segment),) = flow.rest()
        return segment, flow.cached

    def _kept(self, table: pa.Table) -> list[str]:
        taken = {self._work.options.prefix + one.name for one in self._added()}
        return [name for name in table.column_names if name not in taken and name != BAD_ROW]

    def _added(self) -> list[Column]:
        return output_columns(self._predictor, self._work.options, nested=False)

    def _write_csv(self, path: Path, table: pa.Table, rows: Sequence[Row], segment: Segment) -> None:
        prefix, kept = self._work.options.prefix, self._kept(table)
        answers = self._session.scorer.cells().columns(segment) if rows else {}
        if segment.evidence is not None:
            answers[EVIDENCE] = list(segment.evidence)
        names = [prefix + name for name in answers]
        columns = [Column(name) for name in kept] + [Column(prefix + one.name, one.kind) for one in self._added()]
        with open_writer(path, columns=columns) as writer:
            writer.write(
                [
                    {name: row.get(name) for name in kept} | dict(zip(names, cells, strict=True))
                    for row, cells in zip(rows, zip(*answers.values(), strict=True), strict=True)
                ]
            )

    def _write_parquet(self, path: Path, table: pa.Table, segment: Segment) -> None:
        prefix = self._work.options.prefix
        answers = answer_table(
            segment, self._session.scorer.layout, model_version=self._session.scorer.predictor.model_version
        )
        found = {name: table[name] for name in self._kept(table)}
        found |= {prefix + name: answers[name] for name in (one.name for one in self._added())}
        columns = [Column(name) for name in found]
        with open_writer(path, columns=columns) as writer:
            writer.write_table(pa.table(found))


def unpack(files: Mapping[str, bytes], work: Work) -> BundlePredictor:
    """A predictor of one thread out of a bundle's files, which must be the promised ones. Raises BundleError."""
    if work.precision is not None:
        os.environ[PRECISION_VARIABLE] = work.precision
    with tempfile.TemporaryDirectory(prefix="fankui-model-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return load_predictor(ResolvedModel(Path(folder), work.registered, "option", work.digest), threads=1)


def _fetched(files: Any) -> Mapping[str, bytes]:
    import ray

    found: Mapping[str, bytes] = ray.get(files) if isinstance(files, ray.ObjectRef) else files
    return found


def _packed(piece: Slice) -> pa.Table:
    head = {"source": piece.source, "first_row": piece.first_row, "last": piece.last}
    body = pa.array([to_bytes(piece.table)], type=pa.large_binary())
    return pa.table({"slice": pa.array([json.dumps(head)]), "table": body})


def _pairs(slices: pa.Table) -> Iterator[tuple[str, pa.Buffer]]:
    for i in range(slices.num_rows):
        yield slices["slice"][i].as_py(), slices["table"][i].as_buffer()


def _problem(error: FeedbackError) -> dict[str, Any]:
    return {"error": [error.code, error.message]}
