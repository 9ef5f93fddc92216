"""Run by Alembic, which sets its context; the connection comes from serving/store/migrating.py."""

from alembic import context

from serving.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite rolls back a CREATE TABLE as well as PostgreSQL does; Alembic does not trust it to.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
