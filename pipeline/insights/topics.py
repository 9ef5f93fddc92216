"""Topics: what the comments are about, as clusters around anchor words, named by key phrases.

Random starts make topics that change from run to run. Here every cluster starts at the mean of the comments that hold
one frequent and telling word (as anchor words do for topic models, Arora et al. 2013), the words being chosen one after
the other, each far from those before; three rounds of spherical k-means follow and no more, for further ones drift.
Frequent words hardly change when comments are added, so neither do the topics. Two runs on one table are identical.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.insights.hotness import Hotness, HotnessWeights, hotness
from pipeline.insights.key_phrases import Phrase, key_phrases
from pipeline.insights.quotes import examples, span
from pipeline.insights.space import Space, read_space
from pipeline.insights.table import FeedbackTable, Floats, Ints, Mask
from pipeline.insights.terms import Terms
from pipeline.insights.topic_identity import TopicMemory, TopicProfile, assign_ids, profiles

_ROUNDS = 3
_ANCHOR_SHARES = (0.003, 0.1)  # of the comments that hold an anchor word
_LEAST_ANCHOR = 5  # comments

NO_TOPICS = "no two comments share a word that says anything, so that there are no topics; give more comments"


@dataclass(frozen=True, eq=False)
class Topic:
    """`id`: the same over time, as long as the topic is recognised. `rows`: indices into the table."""

    id: str
    phrases: tuple[Phrase, ...]
    rows: Ints
    heat: Hotness
    new: bool  # not among the topics remembered

    @property
    def name(self) -> str:
        return "、".join(phrase.text for phrase in self.phrases[:3])

    def to_dict(self, table: FeedbackTable) -> dict[str, Any]:
        first, last = span(table, self.rows)
        return {
            "id": self.id,
            "name": self.name,
            "phrases": [{"text": phrase.text, "messages": phrase.count} for phrase in self.phrases],
            "messages": len(self.rows),
            "share": round(len(self.rows) / len(table), 4),
            "hotness": round(self.heat.score, 1),
            "negative": round(self.heat.negativity, 3),
            "urgency": round(self.heat.urgency, 3),
            "growth": round(self.heat.growth, 3),
            "first_day": first,
            "last_day": last,
            "new": self.new,
            "examples": examples(table, self.rows),
        }


@dataclass(frozen=True, eq=False)
class Topics:
    """`codes`: (n,) index into `topics` of each row, -1 for one about which nothing is known."""

    topics: tuple[Topic, ...]  # the hottest first
    codes: Ints
    memory: TopicMemory  # to recognise them by next time


def default_count(rows: int) -> int:
    """How many topics people can look through, and the comments can tell apart."""
    return int(np.clip(round(rows**0.5 / 4), 4, 20))


def find_topics(
    table: FeedbackTable,
    terms: Terms,
    *,
    count: int | None = None,
    seed: int = 0,
    memory: TopicMemory | None = None,
    weights: HotnessWeights | None = None,
) -> Topics:
    """Topics of a table; those that `memory` knows keep their ids. None where NO_TOPICS says why."""
    remembered = memory or TopicMemory()
    if not terms.names:
        return Topics((), np.full(len(table), -1, dtype=np.int64), remembered)
    space = read_space(terms, table.embeddings, seed=seed)
    wanted = count or default_count(len(table))
    codes = _clustered(space, _start(space, terms, wanted, memory))
    if not (codes >= 0).any():
        return Topics((), codes, remembered)
    _, codes = np.unique(codes, return_inverse=True) if (codes >= 0).all() else _compact(codes)
    found = int(codes.max()) + 1
    phrases = key_phrases(terms, codes, found)
    of_topic = profiles(terms, codes, found, phrases)
    ids, remembered, new = assign_ids(of_topic, remembered)
    rows = [np.flatnonzero(codes == i) for i in range(found)]
    heats = hotness(table, rows, weights)
    order = sorted(range(found), key=lambda i: (-heats[i].score, ids[i]))
    rank = np.argsort(order)
    topics = tuple(Topic(ids[i], phrases[i], rows[i], heats[i], new[i]) for i in order)
    return Topics(topics, np.where(codes >= 0, rank[codes], -1), remembered)


def _compact(codes: Ints) -> tuple[Ints, Ints]:
    known = np.unique(codes[codes >= 0])
    place = np.full(int(codes.max(initial=0)) + 1, -1, dtype=np.int64)
    place[known] = np.arange(len(known))
    return known, np.where(codes >= 0, place[codes], -1)


def _start(space: Space, terms: Terms, count: int, memory: TopicMemory | None) -> Floats:
    """(count, dimensions) where clusters begin: at the topics remembered, then at anchor words far from them."""
    known = [] if memory is None else [_remembered(space, terms, profile) for profile in memory.topics]
    return _anchors(space, terms, count, [center for center in known if center is not None][:count])


def _remembered(space: Space, terms: Terms, profile: TopicProfile) -> Floats | None:
    """The mean of the comments, weighed by how many of the topic's words they hold."""
    index = {name: i for i, name in enumerate(terms.names)}
    held = [(index[name], weight) for name, weight in profile.terms.items() if name in index]
    if not held:
        return None
    columns, weights = zip(*held, strict=True)
    score = np.asarray(terms.matrix[:, list(columns)] @ np.array(weights, dtype=np.float32)).ravel()
    mean = (score**2) @ space.points
    length = float(np.linalg.norm(mean))
    return np.asarray(mean / length, dtype=np.float32) if length > 0 else None


def _anchors(space: Space, terms: Terms, count: int, first: Sequence[Floats]) -> Floats:
    share = terms.document_counts / max(len(space.points), 1)
    low, high = _ANCHOR_SHARES
    likely = np.flatnonzero(
        (share >= low) & (share <= high) & ~terms.pair & (terms.document_counts >= _LEAST_ANCHOR) & _nameable(terms)
    )
    if not len(likely):
        likely = np.argsort(-terms.document_counts, kind="stable")[: 4 * count]
    means = np.asarray((terms.matrix[:, likely].T @ space.points) / terms.document_counts[likely][:, None])
    tightness = np.linalg.norm(means, axis=1)
    directions = means / np.maximum(tightness[:, None], 1e-9)
    gain = np.sqrt(share[likely]) * tightness
    centers = list(first)
    covered = np.zeros(len(likely))
    for center in centers:
        covered = np.maximum(covered, directions @ center)
    while len(centers) < min(count, len(likely)):
        best = directions[int(np.argmax(np.round(gain * (1 - covered), 6)))]
        centers.append(best)
        covered = np.maximum(covered, directions @ best)
    return np.array(centers, dtype=np.float32)


def _nameable(terms: Terms) -> Mask:
    """Words without digits: a district's number is in messages about everything."""
    return np.array([not any(char.isdigit() for char in name) for name in terms.names], dtype=np.bool_)


def _clustered(space: Space, centers: Floats) -> Ints:
    """(n,) nearest center after some rounds of spherical k-means (Dhillon and Modha 2001)."""
    codes = np.zeros(len(space.points), dtype=np.int64)
    for _ in range(_ROUNDS):
        codes = np.argmax(space.points @ centers.T, axis=1)
        sums = np.zeros_like(centers)
        np.add.at(sums, codes, space.points)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centers = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), centers)
    codes = np.argmax(space.points @ centers.T, axis=1)
    return np.where(np.any(space.points != 0, axis=1), codes, -1)
