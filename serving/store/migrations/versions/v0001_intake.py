"""The first version: feedback, idempotency keys, corrections, status history, events, leases, secrets."""

import sqlalchemy as sa
from alembic import op

from serving.store.columns import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build the tables."""
    _feedback()
    _idempotency_keys()
    _corrections()
    _status_history()
    _events()
    _leases()
    _secrets()


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(200), nullable=False),
        sa.Column("key_fingerprint", sa.String(64), nullable=False),
        sa.Column("body_digest", sa.String(64), nullable=False),
        sa.Column("customer_ref", sa.String(300)),
        sa.Column("channel", sa.String(200)),
        sa.Column("tier", sa.String(200)),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("received_at", UtcTime, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("schema_version", sa.Text, nullable=False),
        sa.Column("prediction", sa.JSON, nullable=False),
        sa.Column("decision", sa.JSON, nullable=False),
        sa.Column("signals", sa.JSON, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("zone", sa.String(16), nullable=False),
        sa.Column("category", sa.String(64)),
        sa.Column("urgency", sa.String(64)),
        sa.Column("grave", sa.Boolean, nullable=False),
        sa.Column("due_at", UtcTime),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("status_at", UtcTime, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("responded_at", UtcTime),
        sa.Column("resolved_at", UtcTime),
        sa.Column("callback_due_at", UtcTime),
        sa.Column("overdue_at", UtcTime),
        sa.Column("escalation", sa.Integer, nullable=False),
        sa.Column("clock_at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_received_at_id", "feedback", ["received_at", "id"])
    op.create_index("ix_feedback_status_received_at_id", "feedback", ["status", "received_at", "id"])
    op.create_index("ix_feedback_queue_received_at_id", "feedback", ["queue", "received_at", "id"])
    op.create_index("ix_feedback_customer_ref_received_at_id", "feedback", ["customer_ref", "received_at", "id"])
    op.create_index("ix_feedback_clock_at", "feedback", ["clock_at"])


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("body_digest", sa.String(64), nullable=False),
        sa.Column("claim", sa.String(64)),
        sa.Column("claimed_until", UtcTime, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.LargeBinary),
        sa.Column("location", sa.String(700)),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("feedback_id", sa.String(200), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("label", sa.JSON, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
        sa.ForeignKeyConstraint(
            ["feedback_id"], ["feedback.id"], name="fk_corrections_feedback_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_corrections_feedback_id_created_at", "corrections", ["feedback_id", "created_at"])


def _status_history() -> None:
    op.create_table(
        "status_history",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("feedback_id", sa.String(200), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("assignee", sa.String(200)),
        sa.Column("note", sa.Text),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_status_history"),
        sa.ForeignKeyConstraint(
            ["feedback_id"], ["feedback.id"], name="fk_status_history_feedback_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_status_history_feedback_id_at", "status_history", ["feedback_id", "at"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("delivered", sa.Boolean, nullable=False),
        sa.Column("delivered_at", UtcTime),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_delivered_created_at_id", "events", ["delivered", "created_at", "id"])
    op.create_index("ix_events_subject", "events", ["subject"])


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("held_until", UtcTime, nullable=False),
        sa.Column("term", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
