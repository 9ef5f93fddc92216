"""What earlier comments of the same customer say of a new one: a repeated contact, or nearly the same again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from pipeline.duplicates import jaccard, text_key
from pipeline.feedback import Signals as Counted
from serving.store.tables import feedback as table

SIMILAR = 0.6
"""Least Jaccard similarity of character 3-grams; a training set's duplicates count from 0.8 (pipeline/duplicates.py),
but who complains again adds how long it has been."""

_MOST = 50  # earlier comments that are compared; one comparison of two long comments takes a millisecond


@dataclass(frozen=True, slots=True)
class Signals:
    """How often the customer wrote within the time, and the comment that this one repeats."""

    contacts: int = 0
    duplicate_of: str | None = None
    similarity: float | None = None

    @property
    def counted(self) -> Counted:
        """As routing knows them."""
        return Counted(repeat_contacts=self.contacts, near_duplicates=int(self.duplicate_of is not None))

    def to_dict(self) -> dict[str, Any]:
        return {"contacts": self.contacts, "duplicate_of": self.duplicate_of, "similarity": self.similarity}


def find_signals(
    connection: Connection, *, customer_ref: str | None, text: str, now: datetime, within: timedelta
) -> Signals:
    """Look at the customer's comments of the time before `now`. `customer_ref` and `text` are as they are kept."""
    if customer_ref is None:
        return Signals()
    earlier = (
        select(table.c.id, table.c.text)
        .where(table.c.customer_ref == customer_ref, table.c.received_at > now - within, table.c.received_at <= now)
        .order_by(table.c.received_at.desc(), table.c.id.desc())
        .limit(_MOST)
    )
    rows = connection.execute(earlier).all()
    key = text_key(text)
    likest, similarity = None, 0.0
    for row in rows:
        found = jaccard(key, text_key(row.text))
        if found > similarity:
            likest, similarity = row.id, found
    if similarity < SIMILAR:
        return Signals(contacts=len(rows))
    return Signals(contacts=len(rows), duplicate_of=likest, similarity=round(similarity, 3))
