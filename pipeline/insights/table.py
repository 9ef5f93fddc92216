"""The table that every insight is drawn from: one row a scored comment, columns as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Days: TypeAlias = "npt.NDArray[np.datetime64]"
Times: TypeAlias = npt.NDArray[np.datetime64]

MISSING = -1
NOT_MENTIONED = -128
"""Cell of an aspect that a comment does not mention; a polarity is -1, 0 or 1."""


@dataclass(frozen=True, eq=False)
class Categories:
    """A column of few distinct values. `codes`: (n,), index into `values`, MISSING where the row has none."""

    values: tuple[str, ...]
    codes: Ints

    @classmethod
    def of(cls, cells: Iterable[str | None], *, order: Sequence[str] = ()) -> "Categories":
        """Values in the given order, then as they appear."""
        index = {value: i for i, value in enumerate(order)}
        codes = [MISSING if cell is None else index.setdefault(cell, len(index)) for cell in cells]
        return cls(tuple(index), np.array(codes, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.codes)

    def is_value(self, value: str) -> Mask:
        """(n,) where the row has this value; nowhere for one that does not occur."""
        return self.codes == self.values.index(value) if value in self.values else np.zeros(len(self), dtype=np.bool_)

    def counts(self, rows: Mask | Ints | None = None) -> Ints:
        """(values,) how many rows have each; `rows`: a mask or indices."""
        codes = self.codes if rows is None else self.codes[rows]
        return np.bincount(codes[codes >= 0], minlength=len(self.values)).astype(np.int64)

    def commonest(self, rows: Mask | Ints | None = None) -> tuple[str, int] | None:
        """The value that most rows have, and how many; the first of equals. None where no row has any."""
        counts = self.counts(rows)
        if not counts.any():
            return None
        best = int(counts.argmax())
        return self.values[best], int(counts[best])

    def take(self, rows: npt.NDArray[Any]) -> "Categories":
        return Categories(self.values, self.codes[rows])


@dataclass(frozen=True, eq=False)
class Aspects:
    """`polarity`: (n, keys) int8, NOT_MENTIONED where the comment does not speak of it."""

    keys: tuple[str, ...]
    polarity: npt.NDArray[np.int8]

    def is_polarity(self, key: str, polarity: int) -> Mask:
        """(n,) where the aspect is mentioned with this polarity."""
        if key not in self.keys:
            return np.zeros(len(self.polarity), dtype=np.bool_)
        return np.asarray(self.polarity[:, self.keys.index(key)] == polarity)


@dataclass(frozen=True, eq=False)
class FeedbackTable:
    """n scored comments. Texts are prepared: normalized, personal data masked."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    times: "npt.NDArray[np.datetime64]"  # (n,) seconds in UTC, NaT where a row has none
    timezone: ZoneInfo  # whose days and weeks count
    labels: Mapping[str, Categories] = field(default_factory=dict)  # task -> its label
    numbers: Mapping[str, Floats] = field(default_factory=dict)  # such as urgency_score, satisfaction, nps; NaN: none
    aspects: Aspects | None = None
    attributes: Mapping[str, Categories] = field(default_factory=dict)  # such as shop, product, channel
    embeddings: Floats | None = None  # (n, width), NaN throughout where a row has none
    moments: Mapping[str, Times] = field(default_factory=dict)  # such as due_at, resolved_at: (n,) as `times`
    customers: Ints | None = None  # (n,) a number for each customer_ref, MISSING where a row has none

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def days(self) -> Days:
        """(n,) the local day of each row, NaT where it has no time."""
        return local_days(self.times, self.timezone)

    @cached_property
    def known_days(self) -> Days:
        """(m,) the days of the rows that have one."""
        return self.days[~np.isnat(self.days)]

    @cached_property
    def negative(self) -> Floats:
        """(n,) how negative a comment is, 0 to 1: P(negative) where the table has it, else by label or satisfaction."""
        if "sentiment_p_negative" in self.numbers:
            return np.nan_to_num(self.numbers["sentiment_p_negative"])
        if "sentiment" in self.labels:
            return self.labels["sentiment"].is_value("negative").astype(np.float32)
        if "satisfaction" in self.numbers:
            return np.nan_to_num((5 - self.numbers["satisfaction"]) / 4).astype(np.float32)
        return np.zeros(len(self), dtype=np.float32)

    @cached_property
    def urgent(self) -> Floats:
        """(n,) P(high) + P(critical), 0 where the table does not tell."""
        if "urgency_score" in self.numbers:
            return np.nan_to_num(self.numbers["urgency_score"])
        if "urgency" in self.labels:
            found = self.labels["urgency"]
            return (found.is_value("high") | found.is_value("critical")).astype(np.float32)
        return np.zeros(len(self), dtype=np.float32)

    @cached_property
    def votes(self) -> Floats:
        """(n,) votes for and against together: both say that people care. 0 where the table has none."""
        given = [self.numbers[name] for name in ("votes", "upvotes", "downvotes", "likes") if name in self.numbers]
        total = np.zeros(len(self), dtype=np.float32)
        for column in given:
            total += np.nan_to_num(column)
        return np.maximum(total, 0)

    def take(self, rows: npt.NDArray[Any]) -> "FeedbackTable":
        """The rows of a mask or of indices, in that order."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            ids=tuple(self.ids[i] for i in at),
            texts=tuple(self.texts[i] for i in at),
            times=self.times[at],
            labels={name: column.take(at) for name, column in self.labels.items()},
            numbers={name: column[at] for name, column in self.numbers.items()},
            aspects=None if self.aspects is None else Aspects(self.aspects.keys, self.aspects.polarity[at]),
            attributes={name: column.take(at) for name, column in self.attributes.items()},
            embeddings=None if self.embeddings is None else self.embeddings[at],
            moments={name: column[at] for name, column in self.moments.items()},
            customers=None if self.customers is None else self.customers[at],
        )


def local_days(times: "npt.NDArray[np.datetime64]", timezone: ZoneInfo) -> Days:
    """The local day of moments in UTC. A zone's offset is looked up once an hour of the data, not once a row."""
    seconds = times.astype("datetime64[s]")
    distinct, place = np.unique(seconds.astype("datetime64[h]"), return_inverse=True)
    offsets = np.zeros(len(distinct), dtype="timedelta64[s]")
    for i, hour in enumerate(distinct):
        if not np.isnat(hour):
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour.astype(np.int64)))
            offset = moment.astimezone(timezone).utcoffset() or timedelta()
            offsets[i] = np.timedelta64(round(offset.total_seconds()), "s")
    return (seconds + offsets[place]).astype("datetime64[D]")
