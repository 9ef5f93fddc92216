"""Opens the database and runs transactions in it; what goes wrong there becomes StoreError.

SQLite runs with a write-ahead log and synchronous=FULL: a commit that was told is on the disk, a power cut included
(sqlite.org/pragma.html#pragma_synchronous).
"""

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline.errors import ConfigError, FeedbackError
from serving.store.tables import secrets as table

T = TypeVar("T")

POSTGRESQL_CONNECTIONS = 8
"""Of one worker; PostgreSQL's own default allows 100 in all."""

READERS = 4
"""Threads of one worker that read from SQLite beside its one writer."""

_WRITES = "fankui_writes"


class StoreError(FeedbackError):
    """The database does not work at the moment; what was asked of it is not done, and can be asked again.

    `cause` is the type or code of what the driver raised, whose message may hold values.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(
            "store_unavailable",
            "the store cannot be reached or written at the moment and nothing was kept; "
            "wait as Retry-After says, and send it again with the same Idempotency-Key or id",
        )
        self.cause = cause


class Database:
    """One database, opened. Every method may be called from any thread."""

    def __init__(self, engine: Engine, *, timeout: float) -> None:
        self.engine = engine
        self.timeout = timeout
        self.sqlite = engine.dialect.name == "sqlite"
        self.writers = 1 if self.sqlite else POSTGRESQL_CONNECTIONS
        self.readers = READERS if self.sqlite else 0  # PostgreSQL: any of those above
        self._writing = engine.execution_options(**{_WRITES: True})
        # SQLite's own wait for its one lock polls and is not fair; among our threads this one is.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self.sqlite else nullcontext()

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` makes of a connection in a transaction that changes nothing. Raises StoreError."""
        return self._run(self.engine, work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Likewise in one that is committed when `work` returns and undone when it raises. Raises StoreError.

        An IntegrityError is passed on: it says what is there already.
        """
        with self._turn:
            return self._run(self._writing, work)

    def secret(self, name: str) -> bytes:
        """32 random bytes under that name, the same for all who share the database; made when first asked for."""

        def find(connection: Connection) -> bytes | None:
            found: bytes | None = connection.scalar(select(table.c.value).where(table.c.name == name))
            return found

        def make(connection: Connection) -> None:
            connection.execute(table.insert().values(name=name, value=secrets.token_bytes(32)))

        found = self.read(find)
        if found is None:
            with suppress(IntegrityError):  # another worker was first
                self.write(make)
            found = self.read(find)
        if found is None:
            raise StoreError("secret")
        return found

    def overwrite_log(self) -> None:
        """Move SQLite's log into the file and empty it, for it still holds what was erased; as far as nobody reads.

        secure_delete has overwritten it in the file. PostgreSQL's vacuum does likewise in its own time.
        """
        if not self.sqlite:
            return
        with self._turn, suppress(sqlite3.Error, DBAPIError, PoolTimeout):
            held = self.engine.raw_connection()
            try:
                cursor = held.cursor()
                cursor.execute("PRAGMA busy_timeout = 200")  # who reads for long must not keep all others waiting
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                cursor.execute(f"PRAGMA busy_timeout = {round(self.timeout * 1000)}")
            finally:
                held.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _run(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        try:
            with engine.begin() as connection:
                return work(connection)
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
            raise StoreError(cause_of(error)) from None


def open_database(target: str, *, timeout: float) -> Database:
    """Open what `--store` names: a file's path, or postgresql://…. `timeout` is in seconds, for any one wait.

    Raises ConfigError `store_invalid`. Nothing is connected to yet.
    """
    url = _url(target)
    make = _sqlite if url.get_backend_name() == "sqlite" else _postgresql
    try:
        return Database(make(url, timeout), timeout=timeout)
    except ModuleNotFoundError as error:
        message = f'PostgreSQL needs {error.name}; install it with: pip install ".[postgres]" in the checkout'
        raise ConfigError("extra_missing", message) from None


def cause_of(error: Exception) -> str:
    """A short name of what went wrong, without values: sqlite3's or PostgreSQL's code, else the type."""
    inner = getattr(error, "orig", None) or error
    code = getattr(inner, "sqlite_errorname", None) or getattr(inner, "sqlstate", None)
    return str(code or type(inner).__name__)


def _url(target: str) -> URL:
    if "://" not in target:
        return URL.create("sqlite", database=str(Path(target).expanduser()))
    try:
        url = make_url(target)
    except (ArgumentError, ValueError):
        raise _invalid() from None
    kind = url.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite", query={})
    raise _invalid()


def _invalid() -> ConfigError:
    # Not what was found: there may be a password in it.
    return ConfigError(
        "store_invalid",
        "--store: expected the path of a file, or postgresql://USER:PASSWORD@HOST/NAME; found something else",
    )


def _sqlite(url: URL, timeout: float) -> Engine:
    folder = Path(str(url.database)).parent
    if not folder.is_dir():
        raise ConfigError("store_invalid", f"--store: there is no folder {folder}; create it, or name another place")
    with suppress(OSError):  # told when it is connected to
        # What customers wrote is for nobody else on this machine; the log beside it takes on these permissions.
        os.close(os.open(str(url.database), os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(
        url,
        # Its implicit BEGIN would come late and without a lock; ours is below.
        connect_args={"isolation_level": None, "timeout": timeout},
        pool_size=READERS + 1,
        max_overflow=0,
        pool_timeout=timeout,
        json_serializer=_dumps,
    )

    @event.listens_for(engine, "connect")
    def settle(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then wants to write could not: somebody may have written between.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL, timeout: float) -> Engine:
    milliseconds = max(1, round(timeout * 1000))
    engine = create_engine(
        url,
        connect_args={
            "connect_timeout": max(2, round(timeout)),  # seconds; libpq takes 2 at least
            "tcp_user_timeout": milliseconds,  # a host that is gone says nothing at all
            "keepalives_idle": 15,
        },
        pool_size=POSTGRESQL_CONNECTIONS,
        max_overflow=0,
        pool_timeout=timeout,
        pool_pre_ping=True,  # so that only a connection cut in the middle of a transaction is felt
        json_serializer=_dumps,
    )

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.execute(f"SET lock_timeout = {milliseconds}")
            cursor.execute(f"SET statement_timeout = {2 * milliseconds}")
            cursor.execute(f"SET idle_in_transaction_session_timeout = {6 * milliseconds}")
        connection.commit()

    return engine


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
