"""The end of a scoring run: the source once more, with its answers beside it, into the target."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from models.answer_records import PACKED
from models.batch_columns import OutputColumns
from models.batch_journal import Journal
from models.batch_segment import EVIDENCE, Segment, SegmentCells, changed
from pipeline.cells import flat, flat_notes
from pipeline.readers import RowFile, file_format
from pipeline.routing import ZONES
from pipeline.writers import open_writer


@dataclass
class Joined:
    """What was written."""

    rows: int = 0
    failed: int = 0
    zones: dict[str, int] = field(default_factory=dict)

    def count(self, segment: Segment) -> None:
        failed = segment.failed()
        self.rows += len(segment)
        self.failed += int(failed.sum())
        for zone, found in zip(ZONES, np.bincount(segment.answers["zone"][~failed], minlength=3), strict=True):
            if found:
                self.zones[zone] = self.zones.get(zone, 0) + int(found)


def join(file: RowFile, target: Path, *, journal: Journal, output: OutputColumns, cells: SegmentCells) -> Joined:
    """Write source and answers side by side. Raises DataError `input_changed`, and what reading and writing raise."""
    joined = Joined()
    tables = file.tables() if file_format(target) == "parquet" else None
    if tables is not None:
        from models.batch_tables import join_tables

        with open_writer(target, columns=output.columns()) as writer:
            join_tables(
                tables,
                _counted(journal, joined),
                output=output,
                layout=cells.layout,
                model_version=cells.model_version,
                writer=writer,
                path=file.path,
            )
        return joined
    answers = _rows(journal, joined, cells, prefix=output.prefix, kind=file_format(target))
    with open_writer(target, columns=output.columns()) as writer:
        for batch in file.batches():
            beside = list(islice(answers, len(batch.rows)))
            if len(beside) != len(batch.rows):
                raise changed(file.path)
            # Ours replace columns of the same name: OutputColumns has made sure that this is wanted.
            writer.write([row | found for row, found in zip(batch.rows, beside, strict=True)])
        if next(answers, None) is not None:
            raise changed(file.path)
    return joined


def _counted(journal: Journal, joined: Joined) -> Iterator[Segment]:
    for segment in journal.segments():
        joined.count(segment)
        yield segment


def _rows(journal: Journal, joined: Joined, cells: SegmentCells, *, prefix: str, kind: str) -> Iterator[dict[str, Any]]:
    """Output cells row by row, under their names in the output."""
    for segment in _counted(journal, joined):
        columns = cells.columns(segment)
        if kind != "jsonl" and segment.explained is not None:
            columns[EVIDENCE] = list((segment.evidence_json if kind == "parquet" else segment.evidence) or ())
        if kind == "csv":
            columns = {name: _flat(column, flat_notes if name in PACKED else flat) for name, column in columns.items()}
        names = [prefix + name for name in columns]
        for row in zip(*columns.values(), strict=True):
            yield dict(zip(names, row, strict=True))


def _flat(column: list[Any], form: Callable[[Any], Any]) -> list[Any]:
    """Cells as csv has them. Those of a segment are few objects that stand in many rows: each is looked at once."""
    if not column or isinstance(column[0], str | float):
        return column
    known = {id(cell): form(cell) for cell in column}
    return [known[id(cell)] for cell in column]
