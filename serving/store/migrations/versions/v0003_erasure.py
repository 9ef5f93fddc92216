"""When a comment was erased."""

import sqlalchemy as sa
from alembic import op

from serving.store.columns import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and an index to find what is old and still there."""
    op.add_column("feedback", sa.Column("erased_at", UtcTime))
    op.create_index("ix_feedback_erased_at_received_at", "feedback", ["erased_at", "received_at"])
