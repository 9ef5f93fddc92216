"""Scoring of files of any length: bounded memory, one bad row never stops it, a killed run goes on where it was.

The answers are kept in a hidden folder beside the target, segment by segment and without the comments
(models/batch_journal.py); at the end the source is read once more and written out with its answers, atomically.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.batch_columns import OutputColumns
from models.batch_flow import Flow
from models.batch_join import join
from models.batch_journal import Journal, file_digest
from models.batch_rows import RowReader
from models.batch_scoring import RowScorer, ScoreOptions, output_columns
from models.batch_segment import EVIDENCE, Segment, changed
from models.batch_session import Session, scoring_session
from models.job_lock import alone
from models.precision import PRECISION_VARIABLE
from models.predictor import BundlePredictor
from pipeline.atomic import remove_strays
from pipeline.columns import require_columns
from pipeline.errors import DataError, UsageError
from pipeline.readers import RowFile, file_format, open_file
from pipeline.routing import RoutingPolicy
from pipeline.rows import Row, RowBatch

__all__ = ["EVIDENCE", "RowScorer", "ScoreOptions", "ScoreProgress", "ScoreSummary", "output_columns", "score_file"]

_SEGMENT_ROWS = 8192
_JOB_TEXTS = 4096  # sorted by length, 1.2 % of their tokens are padding; of 2,048 it is 2.3 %
_SLOW_SEGMENT_ROWS = 512  # with evidence a comment takes a hundred times as long
_SLOW_JOB_TEXTS = 64
_MOST_SEGMENT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ScoreProgress:
    """How far a run is: rows whose answers are kept, and those of them that took no pass of the model."""

    rows: int
    cached: int


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """What a run did."""

    target: Path
    rows: int
    failed: int  # rows with an error
    resumed: int  # rows whose answers were there from an earlier run
    cached: int  # rows of this run whose text had been answered before
    zones: Mapping[str, int]
    seconds: float
    model_version: str


def score_file(
    source: Path | RowFile,
    target: Path,
    *,
    predictor: BundlePredictor,
    policy: RoutingPolicy,
    options: ScoreOptions | None = None,
    session: Session | None = None,
    progress: Callable[[ScoreProgress], None] | None = None,
    keep_mark: bool = False,
) -> ScoreSummary:
    """Score every row of `source` into `target`.

    `session`: of the same predictor, policy and options, where several files or processes share one; else this process
    does it alone. `keep_mark` leaves a note beside the target, by which another run of the same command passes over it.
    Raises DataError for a file that cannot be read or written, UsageError for columns that clash, ModelError
    `worker_lost`. A clash that only a late row brings stops the run too; what is scored by then is used again under
    `prefix` or `overwrite`.
    """
    started = time.monotonic()
    options = options or ScoreOptions()
    file = open_file(source)
    with ExitStack() as stack:
        session = session or stack.enter_context(scoring_session(predictor, policy, options))
        output = _plan(file, target, predictor, options)
        stack.enter_context(alone(target))
        remove_strays(target)
        key = _key(file, predictor, policy, options)
        journal = Journal.open(target, key)
        named = {"prefix": options.prefix, "overwrite": options.overwrite}
        if (done := _done(journal, target, named)) is not None:
            return ScoreSummary(target=target, resumed=done["rows"], cached=0, seconds=0.0, **done)
        run = _Run(file, session, journal, output)
        run.score(progress)
        found = join(file, target, journal=journal, output=output, cells=session.scorer.cells())
        told: dict[str, Any] = {
            "rows": run.rows,
            "failed": found.failed,
            "zones": found.zones,
            "model_version": predictor.model_version,
        }
        if keep_mark:
            journal.finish({**told, "bytes": target.stat().st_size, "named": named})
        else:
            journal.remove()
    return ScoreSummary(
        target=target, resumed=run.resumed, cached=run.cached, seconds=time.monotonic() - started, **told
    )


def _done(journal: Journal, target: Path, named: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an earlier run told that wrote the target as it is, with these names of columns."""
    done = journal.done()
    if done is None or done.pop("named", None) != named or not target.exists():
        return None
    return done if target.stat().st_size == done.pop("bytes") else None


def _plan(file: RowFile, target: Path, predictor: BundlePredictor, options: ScoreOptions) -> OutputColumns:
    """The output's columns, as far as the source's first rows tell."""
    if target.exists() and target.samefile(file.path):
        raise UsageError("same_file", f"{target} is the input itself; write to another file with -o")
    require_columns(file, replace(options.columns, labels={}))
    nested = file_format(target) == "jsonl"
    added = output_columns(predictor, options, nested=nested)
    if options.columns.text in {options.prefix + column.name for column in added}:
        raise UsageError(
            "columns_clash", f"the text column {options.columns.text!r} is an output name; give --prefix pred_"
        )
    return OutputColumns(file, added, prefix=options.prefix, overwrite=options.overwrite, nested=nested)


def _key(file: RowFile, predictor: BundlePredictor, policy: RoutingPolicy, options: ScoreOptions) -> dict[str, Any]:
    """What must be the same for kept answers to be used again; the names in the output need not."""
    told = asdict(options)
    del told["prefix"], told["overwrite"]
    return {
        "source": file_digest(file.path),
        "sheet": file.sheet,
        "model": predictor.model_version,
        "precision": os.environ.get(PRECISION_VARIABLE) or None,
        "policy": repr(policy),
        "options": json.loads(json.dumps(told, default=str)),
    }


class _Run:
    """The pass over a source that gives its journal all answers."""

    def __init__(self, file: RowFile, session: Session, journal: Journal, output: OutputColumns) -> None:
        self._file = file
        self._session = session
        self._journal = journal
        self._output = output
        options = session.scorer.options
        self._columns = options.columns
        self._slow = options.explain
        self.rows = self.resumed = self.cached = 0

    def score(self, progress: Callable[[ScoreProgress], None] | None) -> None:
        """Answer all rows that no earlier run has answered."""
        scorer = self._session.scorer
        flow = Flow(
            self._session.pool,
            scorer.layout,
            cache=self._session.cache,
            explain=self._slow,
            job_texts=self._job_texts(),
        )
        reader = RowReader(self._columns, scorer.policy, now=self._journal.now)
        if self._session.cache is not None:
            self._warm(flow, reader)
        try:
            for finished in self._read(flow, reader):
                self._keep(flow, finished, progress)
        except (DataError, UsageError):
            # The source is at fault (a late row's columns, a damaged end); what is under way is kept for the next try.
            self._keep(flow, flow.rest(), progress)
            raise
        self._keep(flow, flow.rest(), progress)

    def _warm(self, flow: Flow, reader: RowReader) -> None:
        """Give the cache what an earlier run answered, before anything else is asked for: no text is scored again."""
        there = self._journal.first_rows()
        for batch in self._segments() if there else ():
            if batch.first_row in there:
                there.remove(batch.first_row)
                known = self._journal.segment(batch.first_row)
                if known is not None and len(known) == len(batch.rows):
                    flow.warm(reader.read(batch.rows), known)
            if not there:
                return

    def _read(self, flow: Flow, reader: RowReader) -> Iterator[Iterator[tuple[int, Segment]]]:
        """Give the flow all rows; yields what is finished, after every segment."""
        for batch in self._segments():
            known = self._journal.segment(batch.first_row)
            if known is None:
                flow.add(batch.first_row, reader.read(batch.rows))
            elif len(known) != len(batch.rows):
                raise changed(self._file.path)
            else:
                self.resumed += len(known)
                self.rows += len(known)
            self._output.see(batch.rows)
            yield flow.finished()

    def _keep(
        self,
        flow: Flow,
        finished: Iterator[tuple[int, Segment]],
        progress: Callable[[ScoreProgress], None] | None,
    ) -> None:
        for first_row, segment in finished:
            self._journal.keep(first_row, segment)
            self.rows += len(segment)
            self.cached = flow.cached
            if progress is not None:
                progress(ScoreProgress(self.rows, self.cached))

    def _segments(self) -> Iterator[RowBatch]:
        """The file's batches, several to a segment; the same file gives the same segments."""
        layout = self._session.scorer.layout
        most = _SLOW_SEGMENT_ROWS if self._slow else _SEGMENT_ROWS
        most = max(1, min(most, _MOST_SEGMENT_BYTES // layout.dtype.itemsize))
        first, rows = 1, list[Row]()
        for batch in self._file.batches(columns=self._asked_columns()):
            for start in range(0, len(batch.rows), most):
                piece = batch.rows[start : start + most]
                if rows and len(rows) + len(piece) > most:
                    yield RowBatch(first, rows)
                    first, rows = first + len(rows), []
                rows = rows + piece if rows else piece
        if rows:
            yield RowBatch(first, rows)

    def _asked_columns(self) -> tuple[str, ...]:
        policy = self._session.scorer.policy
        origin = (self._columns.channel, policy.tier_field) if policy.rules.asks_origin else ()
        return (self._columns.text, self._columns.created_at, *origin)

    def _job_texts(self) -> int:
        """Texts a job: many, so that sorting pays, but so few that every worker gets some of them."""
        if self._slow:
            return _SLOW_JOB_TEXTS
        rows, workers = self._file.count(), self._session.pool.workers
        return _JOB_TEXTS if rows is None else max(64, min(_JOB_TEXTS, rows // (4 * workers)))
