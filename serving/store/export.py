"""Comments of the store into a csv, jsonl or parquet file, page by page, through the writers of pipeline/.

Either everything, with the model's labels and decisions; or what people corrected, as training input: their labels
alone, a task that nobody corrected left empty, which means unlabelled.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from models.answer import aspect_cells
from pipeline.cells import Column, ColumnKind
from pipeline.schema import Kind, LabelSchema
from pipeline.writers import open_writer
from serving.store import corrections, records
from serving.store.records import Filters
from serving.store.statuses import RESOLVED
from serving.store.tables import status_history as history

_PAGE = 500  # rows; with 40,000 characters each, at the worst, 80 MB
_ALWAYS: tuple[tuple[str, ColumnKind], ...] = (
    ("id", "text"),
    ("text", "text"),
    ("channel", "text"),
    ("customer_ref", "text"),
    ("tier", "text"),
    ("created_at", "time"),
    ("received_at", "time"),
)
_DECIDED: tuple[tuple[str, ColumnKind], ...] = (
    ("satisfaction", "number"),
    ("flags", "notes"),
    ("queue", "text"),
    ("priority", "integer"),
    ("due_at", "time"),
    ("zone", "text"),
    ("reasons", "labels"),
    ("status", "text"),
    ("status_at", "time"),
    ("responded_at", "time"),
    ("resolved_at", "time"),
    ("answer", "text"),  # the note with which it was resolved last
    ("overdue_at", "time"),
    ("callback_due_at", "time"),
    ("called_back_at", "time"),
    ("call_outcome", "text"),
    ("escalation", "integer"),
    ("metadata", "text"),  # JSON, from which insights take their attributes
    ("model_version", "text"),
)
_GOLD: dict[Kind, ColumnKind] = {
    Kind.SINGLE: "text",
    Kind.ORDINAL: "text",
    Kind.MULTI: "labels",
    Kind.ASPECT: "aspects",
}


def export(connection: Connection, path: Path, filters: Filters, *, schema: LabelSchema) -> int:
    """Write the comments that pass, newest first, and how many there were. With `filters.corrected` training input."""
    tasks = [(task.name, _GOLD[task.kind]) for task in schema.tasks]
    columns = [*_ALWAYS, *tasks]
    if not filters.corrected:
        columns += [(f"corrected_{name}", kind) for name, kind in tasks] + list(_DECIDED)
    count = 0
    with open_writer(path, columns=[Column(name, kind) for name, kind in columns]) as writer:
        for rows in records.pages(connection, filters, size=_PAGE):
            held = corrections.held(connection, [row.id for row in rows])
            if filters.corrected:
                writer.write([_training_cells(row, held.get(row.id, {}), schema) for row in rows])
            else:
                answers = _answers(connection, rows)
                writer.write([_cells(row, held.get(row.id, {}), answers.get(row.id), schema) for row in rows])
            count += len(rows)
    return count


def _answers(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, str]:
    """Feedback id -> the note with which it was resolved last."""
    ids = [row.id for row in rows]
    noted = select(history.c.feedback_id, history.c.note).where(
        history.c.feedback_id.in_(ids), history.c.status == RESOLVED, history.c.note.is_not(None)
    )
    return {row.feedback_id: row.note for row in connection.execute(noted.order_by(history.c.at, history.c.id))}


def _training_cells(row: Row[Any], held: Mapping[str, Any], schema: LabelSchema) -> dict[str, Any]:
    cells = {name: getattr(row, name) for name, _ in _ALWAYS}
    return cells | {task.name: held.get(task.name) for task in schema.tasks}


def _cells(row: Row[Any], held: Mapping[str, Any], answer: str | None, schema: LabelSchema) -> dict[str, Any]:
    cells = {name: getattr(row, name) for name, _ in _ALWAYS}
    cells |= predicted_cells(row.prediction, schema)
    cells |= {f"corrected_{task.name}": held.get(task.name) for task in schema.tasks}
    cells |= {name: getattr(row, name) for name, _ in _DECIDED if hasattr(row, name)}
    return cells | {
        "answer": answer,
        "metadata": json.dumps(row.metadata, ensure_ascii=False) if row.metadata else None,
        "satisfaction": row.prediction["satisfaction"],
        "flags": row.prediction["flags"],
        "reasons": row.decision["reasons"],
    }


def predicted_cells(prediction: Mapping[str, Any], schema: LabelSchema) -> dict[str, Any]:
    """Task -> what the model said, as columns have it: a label, several, or {category: polarity}."""
    cells: dict[str, Any] = dict(aspect_cells(prediction["aspects"], schema))
    return cells | {name: found["label"] for name, found in prediction["labels"].items()}
