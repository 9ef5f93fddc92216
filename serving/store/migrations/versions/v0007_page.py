"""What the page counts: the sentiment that holds as a column, and indexes that answer without reading the rows."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OPEN = "status <> 'resolved'"

# The model's label where it is one; then the last one that a person gave.
_FILL = {
    "sqlite": """
        UPDATE feedback SET sentiment = json_extract(prediction, '$.labels.sentiment.label')
        WHERE json_type(prediction, '$.labels.sentiment.label') = 'text'
    """,
    "postgresql": """
        UPDATE feedback SET sentiment = prediction #>> '{labels,sentiment,label}'
        WHERE json_typeof(prediction #> '{labels,sentiment,label}') = 'string'
    """,
}
_CORRECT = {
    "sqlite": """
        UPDATE feedback SET sentiment = (
            SELECT json_extract(label, '$') FROM corrections
            WHERE feedback_id = feedback.id AND task = 'sentiment' ORDER BY created_at DESC, id DESC LIMIT 1
        ) WHERE id IN (SELECT feedback_id FROM corrections WHERE task = 'sentiment' AND json_type(label) = 'text')
    """,
    "postgresql": """
        UPDATE feedback SET sentiment = (
            SELECT label #>> '{}' FROM corrections
            WHERE feedback_id = feedback.id AND task = 'sentiment' ORDER BY created_at DESC, id DESC LIMIT 1
        ) WHERE id IN (SELECT feedback_id FROM corrections WHERE task = 'sentiment' AND json_typeof(label) = 'string')
    """,
}


def upgrade() -> None:
    """Add and fill the column, then the indexes."""
    op.add_column("feedback", sa.Column("sentiment", sa.String(64)))
    dialect = op.get_bind().dialect.name
    op.execute(sa.text(_FILL[dialect]))
    op.execute(sa.text(_CORRECT[dialect]))
    op.create_index(
        "ix_feedback_figures",
        "feedback",
        ["created_at", "id", "sentiment", "urgency", "category", "queue", "channel", "status"],
    )
    op.create_index(
        "ix_feedback_open",
        "feedback",
        [
            *("due_at", "id", "queue", "category", "urgency", "channel", "status"),
            *("responded_at", "erased_at", "created_at"),
        ],
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )
