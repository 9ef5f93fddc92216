"""From prepared texts to records: the part of batch scoring that workers do, and that a cluster's actors share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models.answer import error_text
from models.answer_records import EMBEDDING, PACKED, RecordLayout, Records
from models.batch_rows import RowReader
from models.batch_segment import EVIDENCE, Segment, SegmentCells
from models.bundle import ModelBundle
from models.evidence import explain, told
from models.predictor import BundlePredictor
from pipeline.columns import ColumnMap
from pipeline.errors import FeedbackError, UsageError
from pipeline.prepare import Prepared, prepare_whole
from pipeline.routing import Origin, RoutingPolicy
from pipeline.rows import Row
from pipeline.writers import Column


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
class Item:
    """A text to score. `raw` only where evidence is asked for, which points into it."""

    prepared: Prepared
    raw: str | None = None
    origin: Origin | None = None  # where the policy asks for it


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Answers to n items."""

    answers: Records  # (n,)
    errors: Mapping[int, str]  # by position, of items at which the model failed
    evidence: Sequence[str | None] | None = None  # (n,) JSON of `models.evidence.told`


class Scorer:
    """A predictor and a policy, answering in records. Raises UsageError `no_embeddings`."""

    def __init__(self, predictor: BundlePredictor, policy: RoutingPolicy, options: ScoreOptions) -> None:
        self.predictor = predictor
        self.policy = policy
        self.options = options
        self.layout = RecordLayout(
            predictor.schema,
            policy,
            calibration=predictor.calibration,
            all_probabilities=options.all_probabilities,
            embedding_width=_embedding_width(predictor) if options.embeddings else 0,
        )

    def score(self, items: Sequence[Item]) -> Scored:
        """Answers to all items, in order; the model's failure at one is that one's error."""
        columns, failed = self.predictor.columns_each([item.prepared for item in items])
        good = [i for i in range(len(items)) if i not in failed]
        found = self.layout.records(columns, [items[i].prepared.whole for i in good], [items[i].origin for i in good])
        answers = found if not failed else self.layout.blank(len(items))
        if failed:
            answers[good] = found
        evidence = [self._evidence(item, i in failed) for i, item in enumerate(items)] if self.options.explain else None
        return Scored(answers, {i: error_text(error) for i, error in failed.items()}, evidence)

    def cells(self) -> SegmentCells:
        """What turns segments into cells."""
        return SegmentCells(self.layout, model_version=self.predictor.model_version, timezone=self.policy.timezone)

    def _evidence(self, item: Item, failed: bool) -> str | None:
        if failed or item.raw is None:
            return None
        found = told(self.predictor.schema, explain(self.predictor, item.raw))
        return json.dumps(found, ensure_ascii=False)


class RowScorer:
    """Rows of a file in, their answers out, at once and in this process."""

    def __init__(self, predictor: BundlePredictor, policy: RoutingPolicy, options: ScoreOptions, now: datetime) -> None:
        self.scorer = Scorer(predictor, policy, options)
        self._cells = self.scorer.cells()
        self._reader = RowReader(options.columns, policy, now=now)

    def segment(self, rows: Sequence[Row]) -> Segment:
        """The rows' answers as arrays; a text that occurs twice is scored twice."""
        incoming = self._reader.read(rows)
        answers = self.scorer.layout.blank(len(rows))
        errors: list[str] = []
        evidence: list[str | None] | None = [None] * len(rows) if self.scorer.options.explain else None
        places, items = [], []
        for i, text in enumerate(incoming.texts):
            try:
                if isinstance(text, FeedbackError):
                    raise text
                items.append(Item(prepare_whole(text), text if evidence is not None else None, incoming.origin(i)))
                places.append(i)
            except FeedbackError as error:
                answers["error"][i] = len(errors)
                errors.append(error_text(error))
        scored = self.scorer.score(items)
        answers[places] = scored.answers
        for position, message in scored.errors.items():
            answers["error"][places[position]] = len(errors)
            errors.append(message)
        if evidence is not None and scored.evidence is not None:
            for place, told in zip(places, scored.evidence, strict=True):
                evidence[place] = told
        incoming.flag(answers)
        return Segment(answers, incoming.started, errors, evidence)

    def answers(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """One row of output cells, named without the prefix, for every input row."""
        found = self._cells.columns(self.segment(rows))
        return [dict(zip(found, cells, strict=True)) for cells in zip(*found.values(), strict=True)]


def output_columns(predictor: BundlePredictor | ModelBundle, options: ScoreOptions, *, nested: bool) -> list[Column]:
    """Columns that scoring adds, named without the prefix. `nested`: the format can hold lists of objects."""
    from models.answer import column_kinds

    kinds: list[tuple[str, Any]] = list(
        column_kinds(predictor.schema, routed=True, all_probabilities=options.all_probabilities)
    )
    if options.explain:
        kinds.append((EVIDENCE, "any" if nested else "text"))
    if options.embeddings:
        kinds.append((EMBEDDING, "embedding"))
    return [Column(name, "notes" if name in PACKED else kind) for name, kind in kinds]


def _embedding_width(predictor: BundlePredictor) -> int:
    found = predictor.embeddings(["很好"])
    if found is None:
        raise UsageError(
            "no_embeddings", f"{predictor.model_version} has no embeddings; leave --embeddings out or name a network"
        )
    return int(found.shape[1])
