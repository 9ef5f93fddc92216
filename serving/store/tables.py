"""The tables. What is here and what migrations/ builds are the same, which a test compares."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from serving.store.columns import UtcTime

OPEN = "status <> 'resolved'"
"""What somebody has still to do with. SQLite uses a partial index only where a query repeats its condition as it is."""

CALL_DUE = "callback_due_at IS NOT NULL AND called_back_at IS NULL"
"""Whose customer somebody has still to call back; likewise."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("key_fingerprint", String(64), nullable=False),  # of the API key that posted it, or "anonymous"
    Column("body_digest", String(64), nullable=False),  # tells a repeated post from another one with the same id
    Column("customer_ref", String(300)),
    Column("channel", String(200)),
    Column("tier", String(200)),
    Column("text", Text, nullable=False),  # normalized and masked
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),  # when the customer wrote it, as far as that was told
    Column("received_at", UtcTime, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("schema_version", Text, nullable=False),
    Column("prediction", JSON, nullable=False),  # the result as it was answered, without the decision
    Column("decision", JSON, nullable=False),
    Column("signals", JSON, nullable=False),  # repeat contact, near-duplicate
    Column("queue", Text, nullable=False),
    Column("zone", String(16), nullable=False),
    Column("priority", Integer),  # 1 is the most pressing
    Column("category", String(64)),  # the label that holds: a person's where one corrected it
    Column("urgency", String(64)),  # likewise
    Column("sentiment", String(64)),  # likewise
    Column("grave", Boolean, nullable=False),
    Column("due_at", UtcTime),  # by when somebody has to have answered
    Column("status", String(16), nullable=False),
    Column("status_at", UtcTime, nullable=False),
    Column("cycle", Integer, nullable=False),  # how often it was reopened
    Column("responded_at", UtcTime),  # of this cycle: in progress, or resolved at once
    Column("resolved_at", UtcTime),
    Column("callback_due_at", UtcTime),
    Column("called_back_at", UtcTime),  # when the customer was reached, after the last time that it was resolved
    Column("call_outcome", String(16)),  # of the last call since then
    Column("overdue_at", UtcTime),
    Column("escalation", Integer, nullable=False),  # level, 0 for none
    Column("clock_at", UtcTime),  # when the clock has to look at it next
    Column("erased_at", UtcTime),  # text, metadata, customer and remarks are gone since
    Index(None, "received_at", "id"),
    Index(None, "status", "received_at", "id"),
    Index(None, "queue", "received_at", "id"),
    Index(None, "customer_ref", "received_at", "id"),
    Index(None, "clock_at"),
    Index("ix_feedback_erased_at_received_at", "erased_at", "received_at"),
    Index(
        "ix_feedback_call_due",
        "callback_due_at",
        "id",
        sqlite_where=text(CALL_DUE),
        postgresql_where=text(CALL_DUE),
    ),
    # The page counts in these two alone, without the rows (figures.py, desk_queue.py).
    Index("ix_feedback_figures", "created_at", "id", "sentiment", "urgency", "category", "queue", "channel", "status"),
    Index(
        "ix_feedback_open",
        *(
            "due_at",
            "id",
            "queue",
            "category",
            "urgency",
            "channel",
            "status",
            "responded_at",
            "erased_at",
            "created_at",
        ),
        sqlite_where=text(OPEN),
        postgresql_where=text(OPEN),
    ),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", String(64), primary_key=True),  # fingerprint of the API key, or "anonymous"
    Column("key", String(255), primary_key=True),
    Column("body_digest", String(64), nullable=False),
    Column("claim", String(64)),  # who is at work on it; empty once it is done
    Column("claimed_until", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("status", Integer),  # of the answer, with its body and Location, once it is done
    Column("body", LargeBinary),
    Column("location", String(700)),
    Index(None, "created_at"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("feedback_id", ForeignKey("feedback.id", ondelete="CASCADE"), nullable=False),
    Column("task", String(64), nullable=False),
    Column("label", JSON, nullable=False),  # canonical, as pipeline/gold.py gives it
    Column("by", String(200), nullable=False),
    Column("why", Text),  # masked
    Column("created_at", UtcTime, nullable=False),
    Index(None, "feedback_id", "created_at"),
)

status_history = Table(
    "status_history",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("feedback_id", ForeignKey("feedback.id", ondelete="CASCADE"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("by", String(200), nullable=False),
    Column("assignee", String(200)),
    Column("note", Text),  # masked
    Column("at", UtcTime, nullable=False),
    Index(None, "feedback_id", "at"),
)

calls = Table(
    "calls",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("feedback_id", ForeignKey("feedback.id", ondelete="CASCADE"), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("by", String(200), nullable=False),
    Column("note", Text),  # masked
    Column("at", UtcTime, nullable=False),
    Index(None, "feedback_id", "at"),
)

events = Table(
    "events",
    metadata,
    Column("id", String(64), primary_key=True),  # follows from what happened, so that it cannot be there twice
    Column("type", String(64), nullable=False),
    Column("subject", String(200), nullable=False),  # id of the feedback; no key, for it outlives its erasure
    Column("data", JSON, nullable=False),  # ids, labels and times; never text
    Column("created_at", UtcTime, nullable=False),
    Column("dispatched", Boolean, nullable=False),  # there is a delivery for everyone who subscribed to it
    Column("dispatched_at", UtcTime),
    Index(None, "dispatched", "created_at", "id"),
    Index(None, "created_at", "id"),
    Index(None, "subject"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("held_until", UtcTime, nullable=False),
    Column("term", Integer, nullable=False),  # grows with every new holder
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(12), primary_key=True),  # in the key itself; the owner of what was posted with it
    Column("name", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("rate", Integer),  # requests a minute
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),  # to the minute
    Column("secrets", JSON, nullable=False),  # digest, created_at, expires_at of each of its strings
)

originals = Table(
    "originals",
    metadata,
    Column("feedback_id", ForeignKey("feedback.id", ondelete="CASCADE"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # text, customer and metadata as they came (serving/sealing.py)
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("types", JSON, nullable=False),  # of the events that it is told of; empty for all
    Column("secrets", JSON, nullable=False),  # value, sealed or not, created_at, expires_at of each
    Column("created_at", UtcTime, nullable=False),  # it is told of what happens from then on
    Column("disabled_at", UtcTime),
    Column("disabled_why", String(16)),
    Column("failures", Integer, nullable=False),  # attempts in a row that failed
    Column("wait_until", UtcTime),  # it asked to be left alone until then
    UniqueConstraint("name"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint_id", ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),  # those that were begun
    Column("next_attempt_at", UtcTime),
    Column("claim", String(32)),  # of who is at it
    Column("claimed_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("last_attempt_at", UtcTime),
    Column("last_status", Integer),  # of HTTP
    Column("last_error", String(32)),
    Column("finished_at", UtcTime),
    Index(None, "endpoint_id", "status", "next_attempt_at"),
    Index(None, "status", "finished_at"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),  # fingerprint of the API key that posted it, or "anonymous"
    Column("status", String(16), nullable=False),  # receiving (nobody sees it yet), then as serving/store/jobs.py says
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("expires_at", UtcTime),  # when its results are deleted
    Column("expired_at", UtcTime),  # when they were
    Column("total", Integer, nullable=False),  # rows
    Column("done", Integer, nullable=False),  # rows whose results are here
    Column("failed", Integer, nullable=False),  # of these, rows that got an error
    Column("chunks", Integer, nullable=False),
    Column("chunks_done", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),  # that its chunks take
    Column("models", JSON, nullable=False),  # versions that scored it
    Column("error", String(64)),  # code of what it failed with
    Column("attempts", Integer, nullable=False),  # workers that took it up since its last chunk was done
    Column("holder", String(64)),  # the worker that is at it
    Column("held_until", UtcTime),
    Index(None, "created_at", "id"),
    Index(None, "owner", "created_at", "id"),
    Index(None, "status", "created_at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(64), primary_key=True),  # follows from rule, day and what it is about
    Column("rule", String(200), nullable=False),
    Column("day", String(10), nullable=False),  # such as 2026-09-30, on the policy's wall clock
    Column("fired_at", UtcTime, nullable=False),
    Column("value", Double, nullable=False),
    Column("expected", Double),
    Column("messages", Integer, nullable=False),
    Column("signs", JSON, nullable=False),  # what an incident is known by
    Column("causes", JSON, nullable=False),  # as pipeline/insights/causes.py gives them
    Column("feedback_ids", JSON, nullable=False),
    Index(None, "day", "rule"),
)

findings = Table(
    "findings",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("made_at", UtcTime, nullable=False),
    Column("found", JSON, nullable=False),  # hot issues and forecast, without text
)

job_chunks = Table(
    "job_chunks",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("first_row", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("comments", LargeBinary),  # masked, zlib; gone once they are scored
    Column("results", LargeBinary),  # lines of JSON, zlib
)
