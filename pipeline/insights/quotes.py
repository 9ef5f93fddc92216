"""Comments as they are shown: masked (a table's texts are), short, on one line."""

import re

import numpy as np

from pipeline.insights.table import FeedbackTable, Ints

QUOTE_CHARS = 80
_SPACE = re.compile(r"\s+")


def quote(text: str, *, chars: int = QUOTE_CHARS) -> str:
    """The beginning of a prepared text."""
    line = _SPACE.sub(" ", text).strip()
    return line if len(line) <= chars else line[: chars - 1] + "…"


def examples(table: FeedbackTable, rows: Ints, *, most: int = 3, chars: int = QUOTE_CHARS) -> list[dict[str, str]]:
    """Ids and quotes of some rows, the most urgent first, no text twice."""
    order = sorted(rows.tolist(), key=lambda i: (-float(table.urgent[i]), -float(table.negative[i]), i))
    found: dict[str, str] = {}
    for i in order:
        found.setdefault(quote(table.texts[i], chars=chars), table.ids[i])
        if len(found) == most:
            break
    return [{"id": found[text], "text": text} for text in found]


def span(table: FeedbackTable, rows: Ints) -> tuple[str | None, str | None]:
    """First and last local day of some rows."""
    days = table.days[rows]
    days = days[~np.isnat(days)]
    return (str(days.min()), str(days.max())) if len(days) else (None, None)
