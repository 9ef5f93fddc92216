"""Scoring of a file of any length: batch by batch, one bad row never stops it, a killed run goes on where it was.

The answers of every batch are kept in a hidden folder beside the target, without the comments themselves
(models/batch_journal.py); at the end the source is read once more and written out with its answers, atomically.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.answer import column_kinds, columns
from models.batch_columns import OutputColumns
from models.batch_journal import Journal, decode_cells, encode_cells, file_digest
from models.evidence import explain
from models.predictor import Answer, BundlePredictor
from pipeline.columns import ColumnMap, require_columns, to_feedback
from pipeline.errors import DataError, FeedbackError, TextError, UsageError
from pipeline.feedback import Feedback
from pipeline.readers import RowFile, file_format, open_file
from pipeline.routing import RoutingPolicy
from pipeline.rows import BAD_ROW, Row
from pipeline.writers import Column, open_writer

UNREADABLE_TIME = "created_at_unreadable"
"""Flag of a row whose created_at is no time; its due time then runs from the time of scoring."""

EMBEDDING = "embedding"
EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What is written, and how the source's columns are called."""

    columns: ColumnMap = field(default_factory=ColumnMap)
    prefix: str = ""  # before every output column
    overwrite: bool = False  # output columns replace input columns of the same name
    all_probabilities: bool = False
    explain: bool = False
    embeddings: bool = False


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """What a run did."""

    target: Path
    rows: int
    failed: int  # rows with an error
    resumed: int  # rows whose answers were there from an earlier run
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
    progress: Callable[[int], None] | None = None,
) -> ScoreSummary:
    """Score every row of `source` into `target`; `progress` is called with the number of rows done so far.

    Raises DataError for a file that cannot be read or written, UsageError for columns that clash. A clash that only a
    late row brings stops the run too; what is scored by then is used again under `prefix` or `overwrite`.
    """
    started = time.monotonic()
    options = options or ScoreOptions()
    file = open_file(source)
    output = _plan(file, target, predictor, options)
    journal = Journal.open(target, _key(file, predictor, policy, options))
    scorer = _Scorer(predictor, policy, options, journal.now)
    resumed = rows = 0
    for batch in file.batches():
        if journal.has(batch.first_row):
            resumed += len(batch.rows)
        else:
            journal.keep(batch.first_row, [encode_cells(cells) for cells in scorer.answers(batch.rows)])
        output.see(batch.rows)
        rows += len(batch.rows)
        if progress is not None:
            progress(rows)
    failed, zones = _join(file, target, journal=journal, output=output)
    journal.remove()
    return ScoreSummary(target, rows, failed, resumed, zones, time.monotonic() - started, predictor.model_version)


def output_columns(predictor: BundlePredictor, options: ScoreOptions, *, nested: bool) -> list[Column]:
    """Columns that scoring adds, named without the prefix. `nested`: the format can hold lists of objects."""
    kinds: list[tuple[str, Any]] = list(
        column_kinds(predictor.schema, routed=True, all_probabilities=options.all_probabilities)
    )
    if options.explain:
        kinds.append((EVIDENCE, "any" if nested else "text"))
    if options.embeddings:
        kinds.append((EMBEDDING, "embedding"))
    return [Column(name, kind) for name, kind in kinds]


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
    if options.embeddings and predictor.embeddings(["很好"]) is None:
        raise UsageError(
            "no_embeddings", f"{predictor.model_version} has no embeddings; leave --embeddings out or name a network"
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
        "policy": repr(policy),
        "options": json.loads(json.dumps(told, default=str)),
    }


class _Scorer:
    """Answers of one run: output cells by column name, without the prefix."""

    def __init__(self, predictor: BundlePredictor, policy: RoutingPolicy, options: ScoreOptions, now: datetime) -> None:
        self._predictor = predictor
        self._policy = policy
        self._options = options
        self._now = now
        self._thresholds = predictor.calibration.thresholds()

    def answers(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """One row of output cells for every input row."""
        read = [_feedback(row, self._options.columns) for row in rows]
        answers = iter(self._predictor.answer_each([item.text for item in read if isinstance(item, Feedback)]))
        found = []
        for row, feedback in zip(rows, read, strict=True):
            if isinstance(feedback, FeedbackError):
                found.append(self._failure(feedback))
                continue
            answer = next(answers)
            if isinstance(answer, FeedbackError):
                found.append(self._failure(answer))
            else:
                found.append(self._cells(row, feedback, answer))
        return found

    def _cells(self, row: Row, feedback: Feedback, answer: Answer) -> dict[str, Any]:
        prediction, embedding = answer.prediction, answer.embedding
        if feedback.created_at is None and row.get(self._options.columns.created_at) not in (None, ""):
            prediction = replace(prediction, flags=(*prediction.flags, UNREADABLE_TIME))
        decision = self._policy.decide(
            prediction, feedback, thresholds=self._thresholds, now=self._now, text=answer.text
        )
        cells = columns(
            self._predictor.schema,
            prediction,
            decision=decision,
            all_probabilities=self._options.all_probabilities,
        )
        if self._options.explain:
            cells[EVIDENCE] = [asdict(one) for one in explain(self._predictor, feedback.text)]
        if self._options.embeddings:
            cells[EMBEDDING] = None if embedding is None else embedding.astype(np.float16)
        return cells

    def _failure(self, error: FeedbackError) -> dict[str, Any]:
        cells = columns(self._predictor.schema, None, error=error, model_version=self._predictor.model_version)
        extra = {EVIDENCE: self._options.explain, EMBEDDING: self._options.embeddings}
        return cells | {name: None for name, wanted in extra.items() if wanted}


def _join(file: RowFile, target: Path, *, journal: Journal, output: OutputColumns) -> tuple[int, dict[str, int]]:
    """Write source and answers side by side; returns the number of failed rows and rows by zone."""
    failed, zones = 0, dict[str, int]()
    with open_writer(target, columns=output.columns()) as writer:
        for batch in file.batches():
            answers = [decode_cells(cells) for cells in journal.answers(batch.first_row)]
            if len(answers) != len(batch.rows):
                raise DataError("input_changed", f"{file.path} changed while it was scored; run the command again")
            for cells in answers:
                failed += cells["error"] is not None
                if cells.get("zone"):
                    zones[cells["zone"]] = zones.get(cells["zone"], 0) + 1
                if not output.nested and cells.get(EVIDENCE) is not None:
                    cells[EVIDENCE] = json.dumps(cells[EVIDENCE], ensure_ascii=False)
            writer.write([output.row(row, cells) for row, cells in zip(batch.rows, answers, strict=True)])
    return failed, zones


def _feedback(row: Row, names: ColumnMap) -> Feedback | FeedbackError:
    if BAD_ROW in row:
        return DataError("row_unreadable", str(row[BAD_ROW]))
    try:
        return to_feedback(row, names)
    except TextError as error:
        return error
