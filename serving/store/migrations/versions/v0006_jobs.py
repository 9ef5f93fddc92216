"""Jobs: many comments scored in the background."""

import sqlalchemy as sa
from alembic import op

from serving.store.columns import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add jobs, and their comments and results in chunks."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("finished_at", UtcTime),
        sa.Column("expires_at", UtcTime),
        sa.Column("expired_at", UtcTime),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("chunks_done", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("models", sa.JSON, nullable=False),
        sa.Column("error", sa.String(64)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(64)),
        sa.Column("held_until", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"])
    op.create_index("ix_jobs_owner_created_at_id", "jobs", ["owner", "created_at", "id"])
    op.create_index("ix_jobs_status_created_at", "jobs", ["status", "created_at"])
    op.create_table(
        "job_chunks",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("first_row", sa.Integer, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("comments", sa.LargeBinary),
        sa.Column("results", sa.LargeBinary),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_job_chunks"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_chunks_job_id", ondelete="CASCADE"),
    )
