"""Comments as rows: stored once by their id, found again, and listed page by page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, or_, select

from pipeline.schema import Kind, LabelSchema
from serving.store import events
from serving.store.ids import new_id
from serving.store.inserting import insert_new
from serving.store.statuses import NEW
from serving.store.tables import corrections, feedback, originals, status_history

BY_SERVER = "server"
"""Who is told to have done what nobody did."""


@dataclass(frozen=True, slots=True)
class NewFeedback:
    """A comment that was scored, as it is to be kept; nothing of the customer's own data is in it."""

    id: str
    owner: str  # fingerprint of the API key
    digest: str  # of the request's body
    customer_ref: str | None
    channel: str | None
    tier: str | None
    text: str
    metadata: Mapping[str, Any]
    created_at: datetime
    received_at: datetime
    model_version: str
    schema: LabelSchema
    result: Mapping[str, Any]  # as models/answer.py::item gives it
    signals: Mapping[str, Any]
    original: bytes | None = None  # sealed

    @property
    def due_at(self) -> datetime | None:
        due = self.result["decision"]["due_at"]
        return None if due is None else datetime.fromisoformat(due)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which comments are wanted; None for any. References and channels as they are kept."""

    status: str | None = None
    queue: str | None = None
    zone: str | None = None
    priority: int | None = None
    category: str | None = None
    urgency: str | None = None
    channel: str | None = None
    customer_ref: str | None = None
    received_from: datetime | None = None  # this moment included
    received_before: datetime | None = None
    corrected: bool = False  # only those that a person corrected
    overdue: bool = False  # only those that nobody took up though their time is over
    call_due: bool = False  # only those whose customer has still to be called back


def store(connection: Connection, new: NewFeedback) -> bool:
    """Keep a comment with its first status and its event; False, and nothing kept, where its id is known."""
    decision = new.result["decision"]
    due_at = new.due_at
    row = {
        "id": new.id,
        "key_fingerprint": new.owner,
        "body_digest": new.digest,
        "customer_ref": new.customer_ref,
        "channel": new.channel,
        "tier": new.tier,
        "text": new.text,
        "metadata": dict(new.metadata),
        "created_at": new.created_at,
        "received_at": new.received_at,
        "model_version": new.model_version,
        "schema_version": new.schema.version,
        "prediction": {name: value for name, value in new.result.items() if name not in ("id", "decision")},
        "decision": decision,
        "signals": dict(new.signals),
        "queue": decision["queue"],
        "zone": decision["zone"],
        "priority": decision.get("priority"),
        "category": label_of(new.result, "category"),
        "urgency": label_of(new.result, "urgency"),
        "sentiment": label_of(new.result, "sentiment"),
        "grave": is_grave(new.schema, new.result),
        "due_at": due_at,
        "status": NEW,
        "status_at": new.received_at,
        "cycle": 0,
        "escalation": 0,
        "clock_at": due_at,
    }
    if not insert_new(connection, feedback, row):
        return False
    history = {"id": new_id(new.received_at), "feedback_id": new.id, "status": NEW, "by": BY_SERVER}
    connection.execute(status_history.insert().values(**history, at=new.received_at))
    if new.original is not None:
        connection.execute(originals.insert().values(feedback_id=new.id, sealed=new.original))
    events.record(connection, events.Event(events.ROUTED, new.id, _routed(new), new.received_at))
    return True


def find(connection: Connection, id: str, *, lock: bool = False) -> Row[Any] | None:  # noqa: A002
    """The row of a comment; `lock` it until the transaction ends."""
    wanted = select(feedback).where(feedback.c.id == id)
    return connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()


def original(connection: Connection, id: str) -> bytes | None:  # noqa: A002
    """What was kept of a comment unmasked, sealed."""
    sealed: bytes | None = connection.scalar(select(originals.c.sealed).where(originals.c.feedback_id == id))
    return sealed


def page(
    connection: Connection, filters: Filters, *, after: tuple[datetime, str] | None = None, limit: int
) -> list[Row[Any]]:
    """Rows newest first, those behind `after` (received_at, id)."""
    found = select(feedback).where(*_conditions(filters))
    if after is not None:
        time, id_ = after
        behind = and_(feedback.c.received_at == time, feedback.c.id < id_)
        found = found.where(or_(feedback.c.received_at < time, behind))
    found = found.order_by(feedback.c.received_at.desc(), feedback.c.id.desc()).limit(limit)
    return list(connection.execute(found))


def pages(connection: Connection, filters: Filters, *, size: int) -> Iterator[list[Row[Any]]]:
    """All pages, one after the other."""
    after: tuple[datetime, str] | None = None
    while rows := page(connection, filters, after=after, limit=size):
        yield rows
        after = rows[-1].received_at, rows[-1].id


def label_of(result: Mapping[str, Any], task: str) -> str | None:
    """The label of a single or ordinal task, where the model has such a task."""
    label = result["labels"].get(task, {}).get("label")
    return label if isinstance(label, str) else None


def is_grave(schema: LabelSchema, result: Mapping[str, Any]) -> bool:
    """Whether the highest level of an ordinal task, one that alerts, was predicted, or words of danger raised to it."""
    return any(
        label_of(result, task.name) == task.keys[-1] or f"raised:{task.keys[-1]}" in result["decision"]["reasons"]
        for task in schema.tasks
        if task.kind is Kind.ORDINAL and task.labels[-1].alert
    )


def _routed(new: NewFeedback) -> dict[str, Any]:
    labels = {task: found["label"] for task, found in new.result["labels"].items()}
    return {"feedback_id": new.id, "labels": labels, **new.result["decision"], "model_version": new.model_version}


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [feedback.c.erased_at.is_(None)]
    conditions += [
        feedback.c[name] == value
        for name in ("status", "queue", "zone", "priority", "category", "urgency", "channel", "customer_ref")
        if (value := getattr(filters, name)) is not None
    ]
    if filters.received_from is not None:
        conditions.append(feedback.c.received_at >= filters.received_from)
    if filters.received_before is not None:
        conditions.append(feedback.c.received_at < filters.received_before)
    if filters.overdue:
        conditions += [feedback.c.overdue_at.is_not(None), feedback.c.responded_at.is_(None)]
    if filters.call_due:
        conditions += [feedback.c.callback_due_at.is_not(None), feedback.c.called_back_at.is_(None)]
    if filters.corrected:
        conditions.append(exists().where(corrections.c.feedback_id == feedback.c.id))
    return conditions
