"""The high-frequency list: what most comments mention, with how negative those comments are."""

from typing import Any

import numpy as np

from pipeline.insights.table import FeedbackTable
from pipeline.insights.terms import Terms


def frequent_phrases(table: FeedbackTable, terms: Terms, *, most: int = 50) -> list[dict[str, Any]]:
    """Words and new words by the number of comments that hold them; a part is left out where the whole says it."""
    counts = terms.document_counts
    negative = np.asarray(terms.matrix.T @ table.negative).ravel()
    found: list[int] = []
    for i in np.argsort(-counts, kind="stable"):
        name = terms.names[i]
        # A word that mostly occurs within one longer new word is no word of its own.
        within = [j for j in found if name in terms.names[j] and counts[j] >= 0.6 * counts[i]]
        if not terms.pair[i] and len(name) > 1 and not within:
            found.append(int(i))
        if len(found) == most:
            break
    return [
        {"text": terms.names[i], "messages": int(counts[i]), "negative": round(float(negative[i] / counts[i]), 3)}
        for i in found
    ]
