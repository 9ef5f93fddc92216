"""Attributes that follow from others: every shop lies in one region, every batch is of one product."""

from collections.abc import Sequence

import numpy as np

from pipeline.insights.table import Categories, FeedbackTable

_EXCEPTIONS = 0.01  # of the rows, such as slips of the pen …
_LEFT = 0.05  # … and of those that would be guessed wrong without the other attribute


def determined_by(table: FeedbackTable, names: Sequence[str]) -> list[str]:
    """Attributes whose value follows from one of the attributes named, as a functional dependency with few exceptions
    (its g3 error, Kivinen and Mannila 1995). What was chosen by a shop is of the shop's region by definition."""
    chosen = [table.attributes[name] for name in names if name in table.attributes]
    return [
        name
        for name, column in table.attributes.items()
        if name not in names and any(_follows(column, one) for one in chosen)
    ]


def _follows(column: Categories, other: Categories) -> bool:
    both = (column.codes >= 0) & (other.codes >= 0)
    count = int(both.sum())
    # Where hardly a value comes twice, everything follows from it and nothing is learned.
    if count < 2 * max(len(np.unique(other.codes[both])), 1):
        return False
    together, counts = np.unique(np.column_stack([other.codes[both], column.codes[both]]), axis=0, return_counts=True)
    commonest = np.zeros(len(other.values), dtype=np.int64)
    np.maximum.at(commonest, together[:, 0], counts)
    wrong = count - int(commonest.sum())
    alone = count - int(column.counts(both).max())
    return wrong <= _EXCEPTIONS * count and wrong <= _LEFT * alone and alone > 0
