"""Leases: of all workers one does what has to be done once. Who dies loses it in time, or once that is seen."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, update

from serving.store.inserting import insert_new
from serving.store.tables import leases as table

CLOCK, OUTBOX, RETENTION, INSIGHTS = "clock", "outbox", "retention", "insights"

HOLD = timedelta(seconds=30)
"""How long a lease lasts; six times what lies between two looks at the clock."""

BATCH = 200
"""Comments in one transaction of such work: some 50 ms in which nobody else writes to SQLite."""


def acquire(connection: Connection, name: str, *, holder: str, now: datetime) -> bool:
    """Take or prolong a lease until `now + HOLD`; False where another holds it.

    What is done in the same transaction is done by the holder alone. Times are the workers' own: clocks that differ by
    less than HOLD do no harm, and events cannot be there twice in any case.
    """
    if insert_new(connection, table, {"name": name, "holder": holder, "held_until": now + HOLD, "term": 1}):
        return True
    free = or_(table.c.holder == holder, table.c.held_until <= now)
    taken = update(table).where(table.c.name == name, free)
    # Counted up only when it changes hands.
    term = table.c.term + (table.c.holder != holder).cast(table.c.term.type)
    return connection.execute(taken.values(holder=holder, held_until=now + HOLD, term=term)).rowcount == 1


def give_up(connection: Connection, name: str, *, holder: str, now: datetime) -> None:
    """Let others take it at once, as when a worker ends."""
    mine = update(table).where(table.c.name == name, table.c.holder == holder)
    connection.execute(mine.values(held_until=now))


def give_up_all(connection: Connection, *, holder: str, now: datetime) -> None:
    """Let others take at once all that a worker holds, of which is known that it is dead."""
    connection.execute(update(table).where(table.c.holder == holder).values(held_until=now))


def probe(connection: Connection) -> None:
    """Write, and change nothing: whether there is a database, a lock to be had and a disk that takes it."""
    connection.execute(update(table).where(table.c.name == CLOCK).values(holder=table.c.holder))
