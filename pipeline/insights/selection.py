"""Which rows a filter means: `NAME=VALUE` of labels, attributes, aspects and days, and words that the text holds."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.insights.table import FeedbackTable, Mask

_POLARITIES = {"negative": -1, "neutral": 0, "positive": 1}
FILTER_HELP = (
    "NAME=VALUE: a label (category=refund), an attribute (shop=S07), aspect.service=negative, text=退款, from=, to="
)


def parse_filters(pairs: Sequence[str]) -> dict[str, list[str]]:
    """From the command line; a name that comes twice means either. Raises UsageError `filter_invalid`."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not name or not value:
            raise UsageError("filter_invalid", f"a filter is {FILTER_HELP}; found {pair!r}")
        found.setdefault(name, []).append(value)
    return found


def selected(table: FeedbackTable, filters: Mapping[str, Sequence[str]], *, lenient: bool = False) -> Mask:
    """(n,) rows that pass every filter. Raises UsageError `filter_unknown`, `filter_invalid`.

    `lenient`: a value that does not occur is no mistake: no comment has it yet.
    """
    rows = np.ones(len(table), dtype=np.bool_)
    for name, values in filters.items():
        rows &= np.any([_passes(table, name, value, lenient=lenient) for value in values], axis=0)
    return rows


def _passes(table: FeedbackTable, name: str, value: str, *, lenient: bool) -> Any:
    if name in ("from", "to"):
        try:
            day = np.datetime64(date.fromisoformat(value))
        except ValueError:
            raise UsageError("filter_invalid", f"{name}= is a day such as 2026-09-30; found {value!r}") from None
        return table.days >= day if name == "from" else table.days <= day
    if name == "text":
        return np.fromiter((value in text for text in table.texts), dtype=np.bool_, count=len(table))
    if name.startswith("aspect.") and table.aspects is not None and name[7:] in table.aspects.keys:
        if value not in _POLARITIES:
            raise UsageError("filter_invalid", f"{name}= is negative, neutral or positive; found {value!r}")
        return table.aspects.is_polarity(name[7:], _POLARITIES[value])
    column = table.labels.get(name, table.attributes.get(name))
    if column is None:
        known = ", ".join(
            [*table.labels, *table.attributes, *(["aspect.KEY"] if table.aspects else []), "text", "from", "to"]
        )
        raise UsageError("filter_unknown", f"nothing is called {name!r} here; known: {known}")
    if value not in column.values and not lenient:
        raise UsageError("filter_unknown", f"{name} never is {value!r}; it is: {', '.join(column.values[:20])}")
    return column.is_value(value)
