"""Webhooks: who is told of events, what waits for whom, and what became of it. The outbox's marks are named anew."""

import sqlalchemy as sa
from alembic import op

from serving.store.columns import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables. An event is `dispatched` once there is a delivery for everyone who subscribed to it."""
    op.drop_index("ix_events_delivered_created_at_id", "events")
    op.execute("ALTER TABLE events RENAME COLUMN delivered TO dispatched")
    op.execute("ALTER TABLE events RENAME COLUMN delivered_at TO dispatched_at")
    op.execute("ALTER TABLE events DROP COLUMN attempts")
    op.create_index("ix_events_dispatched_created_at_id", "events", ["dispatched", "created_at", "id"])
    op.create_index("ix_events_created_at_id", "events", ["created_at", "id"])
    _endpoints()
    _deliveries()


def _endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("types", sa.JSON, nullable=False),
        sa.Column("secrets", sa.JSON, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("disabled_at", UtcTime),
        sa.Column("disabled_why", sa.String(16)),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("wait_until", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
        sa.UniqueConstraint("name", name="uq_webhook_endpoints_name"),
    )


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("endpoint_id", sa.String(12), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", UtcTime),
        sa.Column("claim", sa.String(32)),
        sa.Column("claimed_until", UtcTime),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("last_attempt_at", UtcTime),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.String(32)),
        sa.Column("finished_at", UtcTime),
        sa.PrimaryKeyConstraint("event_id", "endpoint_id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_webhook_deliveries_event_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name="fk_webhook_deliveries_endpoint_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_webhook_deliveries_endpoint_id_status_next_attempt_at",
        "webhook_deliveries",
        ["endpoint_id", "status", "next_attempt_at"],
    )
    op.create_index("ix_webhook_deliveries_status_finished_at", "webhook_deliveries", ["status", "finished_at"])
