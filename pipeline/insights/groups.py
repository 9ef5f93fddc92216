"""Groups of comments that tell of one incident: near-duplicates and retellings.

Near-duplicates by MinHash over characters (pipeline/duplicates.py), then average linkage over likeness in rare terms
with a little of the embedding's. On 4,315 citizen messages the terms alone split retellings of one incident (27 and 18
of 66 messages that name one site), and with more of the embedding incidents of one kind run together (a car loan and
two lending platforms at a share of 0.15); a share of 0.1 joins 51 of the 66, among 53, and keeps these apart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.duplicates import near_duplicate_groups
from pipeline.insights.key_phrases import Phrase, key_phrases
from pipeline.insights.linkage import Likeness, average_linkage
from pipeline.insights.table import MISSING, FeedbackTable, Ints
from pipeline.insights.terms import Terms
from pipeline.insights.weights import centered, principal, term_weights

_THRESHOLD = 0.14
_THRESHOLD_TERMS = 0.12  # without embeddings
_EMBEDDING_SHARE = 0.1
_EMBEDDING_WIDTH = 64  # main directions of the embeddings that are compared: a quarter of the time
_MOST_HOLDERS = (
    1000  # comments that hold a term: one incident is hardly told more often, and time grows with its square
)
_DUPLICATE = 0.8  # Jaccard similarity of character 3-grams


@dataclass(frozen=True, eq=False)
class Group:
    """One incident as told. `rows`: indices into the table; `center`: the row that is most like all others."""

    rows: Ints
    center: int
    phrases: tuple[Phrase, ...]

    def __len__(self) -> int:
        return len(self.rows)


def find_groups(
    table: FeedbackTable, terms: Terms, *, least: int = 2, progress: Callable[[int], None] | None = None
) -> list[Group]:
    """Groups of at least `least` comments, the largest first."""
    codes = group_codes(table, terms, progress=progress)
    sizes = np.bincount(codes)
    order = [int(i) for i in np.argsort(-sizes, kind="stable") if sizes[i] >= least]
    rank = np.full(len(sizes), MISSING, dtype=np.int64)
    rank[order] = np.arange(len(order))
    ranked = rank[codes]
    phrases = key_phrases(terms, ranked, len(order))
    weights = term_weights(terms)
    by_group = np.argsort(ranked, kind="stable")[np.searchsorted(np.sort(ranked), 0) :]
    bounds = np.cumsum([0, *(int(sizes[i]) for i in order)])
    groups = []
    for i in range(len(order)):
        rows = np.sort(by_group[bounds[i] : bounds[i + 1]])
        members = weights[rows]
        toward = members @ np.asarray(members.sum(axis=0)).ravel()
        groups.append(Group(rows, int(rows[int(np.argmax(toward))]), phrases[i]))
    return groups


def group_codes(table: FeedbackTable, terms: Terms, *, progress: Callable[[int], None] | None = None) -> Ints:
    """(n,) number of each row's group, a single comment being a group of its own."""
    duplicates = np.array(near_duplicate_groups(table.texts, threshold=_DUPLICATE, progress=progress), dtype=np.int64)
    weights = term_weights(terms, most=_MOST_HOLDERS)
    if table.embeddings is None:
        return average_linkage(Likeness(weights), _THRESHOLD_TERMS, start=duplicates)
    likeness = Likeness(weights, principal(centered(table.embeddings), _EMBEDDING_WIDTH), _EMBEDDING_SHARE)
    return average_linkage(likeness, _THRESHOLD, start=duplicates)
