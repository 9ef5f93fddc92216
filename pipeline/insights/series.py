"""Everything that is counted by day: labels, aspects, attributes, pairs of these, and terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from pipeline.insights.table import FeedbackTable, Ints, Mask
from pipeline.insights.terms import Terms

DERIVED = ("queue", "status")
"""Attributes that follow from the labels or from what was done since: no cause, and no news."""

NEGATIVE = "negative"


class Family(StrEnum):
    """Kinds of series; each takes the same part of the false discovery rate."""

    LABEL = "label"
    ATTRIBUTE = "attribute"
    CROSS = "cross"  # an attribute's value with a label or a negative aspect
    PAIR = "pair"  # values of two attributes
    TERM = "term"


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that is counted. `parts`: (name, value) of each condition, all of which hold."""

    family: Family
    parts: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return " & ".join(value if name == "term" else f"{name}={value}" for name, value in self.parts)


@dataclass(frozen=True, eq=False)
class Membership:
    """`matrix`: (n, series) csr of 1 where a row counts for a series."""

    series: tuple[Series, ...]
    matrix: Any

    @cached_property
    def families(self) -> Ints:
        """(series,) index of each one's family."""
        order = {family: i for i, family in enumerate(Family)}
        return np.array([order[series.family] for series in self.series], dtype=np.int64)

    @cached_property
    def family_sizes(self) -> Ints:
        """(series,) how many series each one's family has."""
        return np.asarray(np.bincount(self.families)[self.families], dtype=np.int64)

    @cached_property
    def groups(self) -> Ints:
        """(series,) number of what each is a value of: an attribute, two of them, a task, an aspect; terms are one."""
        index: dict[tuple[Family, tuple[str, ...]], int] = {}
        names = ((series.family, tuple(name for name, _ in series.parts)) for series in self.series)
        return np.array([index.setdefault(name, len(index)) for name in names], dtype=np.int64)

    @cached_property
    def tests(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """(series,) as how many tests each counts where all families share a false discovery rate evenly."""
        return (self.family_sizes * len(np.unique(self.families))).astype(np.float64)


def membership(table: FeedbackTable, terms: Terms | None, *, attributes: Sequence[str] | None = None) -> Membership:
    """All series of a table. `attributes`: which ones count; None: all but derived ones."""
    names = [name for name in table.attributes if name not in DERIVED] if attributes is None else list(attributes)
    labels = _labels(table)
    values = {name: _one_hot(table.attributes[name].codes, len(table.attributes[name].values)) for name in names}
    parts: list[tuple[list[Series], Any]] = [
        _block(Family.LABEL, [(key,) for key, _ in labels], [c for _, c in labels])
    ]
    for name in names:
        keys = [((name, value),) for value in table.attributes[name].values]
        parts.append(([Series(Family.ATTRIBUTE, key) for key in keys], values[name]))
        for key, rows in labels:
            if key[1] == NEGATIVE:
                crossed = sparse.diags(rows.astype(np.float32)) @ values[name]
                crossed.eliminate_zeros()
                parts.append(([Series(Family.CROSS, (*one, key)) for one in keys], crossed))
    for i, one in enumerate(names):
        parts += [_pairs(table, one, other) for other in names[i + 1 :]]
    if terms is not None:
        parts.append(([Series(Family.TERM, (("term", name),)) for name in terms.names], terms.matrix))
    parts = [part for part in parts if part[0]] or [([], sparse.csr_matrix((len(table), 0), dtype=np.float32))]
    return Membership(
        tuple(series for found, _ in parts for series in found),
        sparse.hstack([matrix for _, matrix in parts], format="csr", dtype=np.float32),
    )


def _labels(table: FeedbackTable) -> list[tuple[tuple[str, str], Mask]]:
    found = [
        ((task, value), column.is_value(value)) for task, column in table.labels.items() for value in column.values
    ]
    if table.aspects is not None:
        found += [((f"aspect {key}", NEGATIVE), table.aspects.is_polarity(key, -1)) for key in table.aspects.keys]
    return found


def _block(family: Family, keys: Sequence[Any], columns: Sequence[Mask]) -> tuple[list[Series], Any]:
    matrix = sparse.csr_matrix(np.array(columns, dtype=np.float32).T) if columns else None
    return [Series(family, key) for key in keys], matrix


def _one_hot(codes: Ints, count: int) -> Any:
    rows = np.flatnonzero(codes >= 0)
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, codes[rows])), shape=(len(codes), count))


def _pairs(table: FeedbackTable, one: str, other: str) -> tuple[list[Series], Any]:
    """Pairs of values that occur together."""
    left, right = table.attributes[one], table.attributes[other]
    both = np.where((left.codes >= 0) & (right.codes >= 0), left.codes * len(right.values) + right.codes, -1)
    distinct, place = np.unique(both, return_inverse=True)
    skipped = int(len(distinct) > 0 and distinct[0] < 0)
    series = [
        Series(
            Family.PAIR,
            ((one, left.values[int(code) // len(right.values)]), (other, right.values[int(code) % len(right.values)])),
        )
        for code in distinct[skipped:]
    ]
    return series, _one_hot(place.astype(np.int64) - skipped, len(series))
