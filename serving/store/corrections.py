"""What people say that a comment's labels are. All are kept; the latest of a task holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from pipeline.feedback import Gold
from pipeline.schema import Kind, LabelSchema
from serving.store import events
from serving.store.ids import new_id
from serving.store.statuses import CALL_BACK, RESOLVED
from serving.store.tables import corrections as table
from serving.store.tables import feedback


@dataclass(frozen=True, slots=True)
class Correction:
    """A label in its canonical form (pipeline/gold.py), who gives it, and why (masked)."""

    task: str
    label: Gold
    by: str
    why: str | None = None

    @property
    def plain(self) -> Any:
        """The label as JSON has it."""
        return list(self.label) if isinstance(self.label, tuple) else self.label


def correct(
    connection: Connection, row: Row[Any], correction: Correction, *, schema: LabelSchema, now: datetime
) -> tuple[str, bool]:
    """Keep a correction of a comment whose row is locked: its id, and whether it is new.

    The same one by the same person, sent twice, is kept once.
    """
    latest = [entry for entry in of_feedback(connection, [row.id]) if entry.task == correction.task][-1:]
    if latest and (latest[0].label, latest[0].by, latest[0].why) == (correction.plain, correction.by, correction.why):
        return str(latest[0].id), False
    values = {
        "id": new_id(now),
        "feedback_id": row.id,
        "task": correction.task,
        "label": correction.plain,
        "by": correction.by,
        "why": correction.why,
        "created_at": now,
    }
    connection.execute(table.insert().values(**values))
    connection.execute(update(feedback).where(feedback.c.id == row.id).values(**_holding(row, correction, schema)))
    data = {"feedback_id": row.id, "correction_id": values["id"], "task": correction.task, "label": correction.plain}
    events.record(connection, events.Event(events.CORRECTED, row.id, data, now, occurrence=str(values["id"])))
    return str(values["id"]), True


def of_feedback(connection: Connection, ids: list[str]) -> list[Row[Any]]:
    """All corrections of some comments, oldest first."""
    found = select(table).where(table.c.feedback_id.in_(ids))
    return list(connection.execute(found.order_by(table.c.created_at, table.c.id)))


def held(connection: Connection, ids: list[str]) -> dict[str, dict[str, Gold]]:
    """Feedback id -> task -> the label that people gave it last."""
    found: dict[str, dict[str, Gold]] = {}
    for entry in of_feedback(connection, ids):
        label = tuple(entry.label) if isinstance(entry.label, list) else entry.label
        found.setdefault(entry.feedback_id, {})[entry.task] = label
    return found


def _holding(row: Row[Any], correction: Correction, schema: LabelSchema) -> dict[str, Any]:
    """The columns that lists are filtered by, and whether it is grave, by the label that holds from now on."""
    values: dict[str, Any] = {"grave": row.grave}
    if correction.task in ("category", "urgency", "sentiment") and isinstance(correction.label, str):
        values[correction.task] = correction.label
    task = schema.task(correction.task)
    if task.kind is Kind.ORDINAL and task.labels[-1].alert:
        values["grave"] = grave = correction.label == task.keys[-1]
        # Of what is resolved already the call-back comes due, or is not any more; unless it was made.
        if row.status == RESOLVED and row.called_back_at is None and grave != (row.callback_due_at is not None):
            due_at = row.resolved_at + CALL_BACK if grave else None
            values |= {"callback_due_at": due_at, "clock_at": due_at}
    return values
