"""Earlier cases like a complaint, and what was answered: `fankui insights similar`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.insight_session import Opened, Source, open_table, read_answers, with_embeddings
from pipeline.errors import UsageError
from pipeline.insights.quotes import quote
from pipeline.insights.selection import parse_filters, selected
from pipeline.insights.similar import CaseIndex
from pipeline.insights.table import FeedbackTable
from pipeline.insights.weights import centered, term_weights
from pipeline.prepare import prepare


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose like is sought, and among what: a comment of the file by its id, or a new text."""

    id: str | None = None
    text: str | None = None
    most: int = 5
    among: Sequence[str] = ()  # filters such as status=resolved
    answered: bool = False  # only cases with an answer
    answer_column: str = "answer"


def similar_cases(
    source: Source, wanted: Wanted, *, model: str | None, embeddings: bool
) -> tuple[Opened, dict[str, Any]]:
    """The nearest first. Raises UsageError `id_unknown`, `similar_invalid`, TextError; DataError as `read_table`."""
    if (wanted.id is None) == (wanted.text is None):
        raise UsageError("similar_invalid", "say what to find the like of: --id of a comment, or --text; one of them")
    opened = open_table(source)
    count = len(opened.table)
    if wanted.text is not None:
        opened = replace(opened, table=_with(opened.table, wanted.text))
        row = count
    elif wanted.id in opened.table.ids:
        row = opened.table.ids.index(wanted.id)
    else:
        message = f"no comment has the id {wanted.id!r}; name one of column {source.id_column!r}, or give --text"
        raise UsageError("id_unknown", message)
    if embeddings:
        opened = with_embeddings(opened, model, quiet=source.quiet)
    table = opened.table
    allowed = np.arange(len(table)) < count
    if wanted.among:
        allowed &= selected(table, parse_filters(wanted.among))
    if wanted.answered:
        answers = read_answers(source, wanted.answer_column, set(table.ids))
        allowed &= np.array([id_ in answers for id_ in table.ids], dtype=np.bool_)
    terms = opened.read_terms(quiet=source.quiet)
    index = CaseIndex(term_weights(terms), None if table.embeddings is None else centered(table.embeddings))
    nearest: list[dict[str, Any]] = [
        {"id": table.ids[one.row], "likeness": round(one.likeness, 4), "text": quote(table.texts[one.row])}
        for one in index.nearest(row, most=wanted.most, among=allowed)
    ]
    answers = read_answers(source, wanted.answer_column, {one["id"] for one in nearest})
    nearest = [one | ({"answer": answers[one["id"]]} if one["id"] in answers else {}) for one in nearest]
    return opened, {"id": wanted.id, "text": quote(table.texts[row]), "similar": nearest}


def _with(table: FeedbackTable, text: str) -> FeedbackTable:
    """The table with the text as another row at its end, whose other columns are not to be asked for."""
    longer = table.take(np.append(np.arange(len(table)), 0))
    embeddings = longer.embeddings
    if embeddings is not None:
        embeddings = embeddings.copy()
        embeddings[-1] = np.nan
    return replace(longer, ids=(*table.ids, ""), texts=(*table.texts, prepare(text).text), embeddings=embeddings)
