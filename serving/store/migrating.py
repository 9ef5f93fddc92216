"""Brings the tables to this version's form, in one transaction and under a lock: workers start at the same moment."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from pipeline.errors import ConfigError
from pipeline.resources import shipped
from serving.store.database import Database, StoreError

_LOCK = 0x66616E6B7569  # "fankui"; PostgreSQL's advisory locks are numbers


def upgrade(database: Database) -> None:
    """Migrate to the newest version. One that fails leaves the tables as they were.

    Raises ConfigError `store_newer` where a later fankui was here, `store_unavailable` where it cannot be opened.
    """
    config = Config()
    config.set_main_option("script_location", str(shipped("serving", "store", "migrations")).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}

    def migrate(connection: Connection) -> None:
        if not database.sqlite:  # there the transaction is the lock
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        present = MigrationContext.configure(connection).get_current_revision()
        if present is not None and present not in known:
            raise ConfigError(
                "store_newer",
                f"the store has version {present} of the tables; install the fankui that made it, or newer",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    try:
        database.write(migrate)
    except StoreError as error:
        message = f"--store: the database cannot be opened or written ({error.cause}); is it there, and may we?"
        raise ConfigError("store_unavailable", message) from None
    except CommandError as error:
        raise ConfigError("store_invalid", f"--store: the tables cannot be migrated: {error}") from None


def version(database: Database) -> str | None:
    """Version of the tables; None where there are none."""
    return database.read(lambda connection: MigrationContext.configure(connection).get_current_revision())
