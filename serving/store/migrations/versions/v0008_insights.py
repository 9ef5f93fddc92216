"""Alerts that fired, and the last findings that the page shows."""

import sqlalchemy as sa
from alembic import op

from serving.store.columns import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("fired_at", UtcTime, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("expected", sa.Double),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("signs", sa.JSON, nullable=False),
        sa.Column("causes", sa.JSON, nullable=False),
        sa.Column("feedback_ids", sa.JSON, nullable=False),
    )
    op.create_index("ix_alerts_day_rule", "alerts", ["day", "rule"])
    op.create_table(
        "findings",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("made_at", UtcTime, nullable=False),
        sa.Column("found", sa.JSON, nullable=False),
    )
