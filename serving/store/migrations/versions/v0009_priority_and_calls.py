"""The priority as a column, and the calls that were made back to customers."""

import sqlalchemy as sa
from alembic import op

from serving.store.columns import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FILL = {
    "sqlite": "UPDATE feedback SET priority = json_extract(decision, '$.priority')",
    "postgresql": "UPDATE feedback SET priority = CAST(decision ->> 'priority' AS INTEGER)",
}
_CALL_DUE = "callback_due_at IS NOT NULL AND called_back_at IS NULL"


def upgrade() -> None:
    """Add the columns, fill the first, and make the table."""
    op.add_column("feedback", sa.Column("priority", sa.Integer))
    op.add_column("feedback", sa.Column("called_back_at", UtcTime))
    op.add_column("feedback", sa.Column("call_outcome", sa.String(16)))
    op.execute(sa.text(_FILL[op.get_bind().dialect.name]))
    op.create_index(
        "ix_feedback_call_due",
        "feedback",
        ["callback_due_at", "id"],
        sqlite_where=sa.text(_CALL_DUE),
        postgresql_where=sa.text(_CALL_DUE),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("feedback_id", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.ForeignKeyConstraint(["feedback_id"], ["feedback.id"], name="fk_calls_feedback_id", ondelete="CASCADE"),
    )
    op.create_index("ix_calls_feedback_id_at", "calls", ["feedback_id", "at"])
