"""What customers wrote, unmasked and sealed, where the operator keeps it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; a table of its own, so that lists do not read it."""
    op.create_table(
        "originals",
        sa.Column("feedback_id", sa.String(200), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("feedback_id", name="pk_originals"),
        sa.ForeignKeyConstraint(["feedback_id"], ["feedback.id"], name="fk_originals_feedback_id", ondelete="CASCADE"),
    )
