"""Which topic of today is which of before: by the words that they are made of, matched one to one.

A topic must be like what it was last time and like what it was when it got its id: else it drifts, a little from file
to file, from one matter to another under one id, and the new matter never is new. On 7,136 comments to restaurants in
three growing cuts, topics that stayed what they were had 0.74 and more with their last form and 0.69 with their first;
the one that had become another 0.59, then 0.47 and 0.22.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.atomic import write_text
from pipeline.errors import DataError
from pipeline.insights.key_phrases import Phrase
from pipeline.insights.table import Ints
from pipeline.insights.terms import Terms

_TERMS = 100  # that a topic is remembered by
_SAME = 0.6  # cosine of the words' weights with its last form from which on a topic may be the same one …
_SAME_FIRST = 0.5  # … and with its first
_VERSION = 1


@dataclass(frozen=True, slots=True)
class TopicProfile:
    """What a topic is recognised by. `terms`: word -> weight, together of length 1; `first`: when it got its id."""

    id: str
    name: str
    terms: Mapping[str, float]
    first: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TopicMemory:
    """Topics of earlier runs, gone ones too: what comes back gets its id back."""

    topics: tuple[TopicProfile, ...] = ()
    next: int = 1

    def to_dict(self) -> dict[str, Any]:
        topics = [
            {"id": topic.id, "name": topic.name, "terms": dict(topic.terms), "first": dict(topic.first)}
            for topic in self.topics
        ]
        return {"version": _VERSION, "next": self.next, "topics": topics}


def read_memory(path: Path) -> TopicMemory:
    """Of a file that does not exist, nothing. Raises DataError `topics_unreadable`."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        topics = tuple(
            # What was written before first forms were kept has its last one for it.
            TopicProfile(
                str(topic["id"]),
                str(topic["name"]),
                _weights(topic["terms"]),
                _weights(topic.get("first") or topic["terms"]),
            )
            for topic in body["topics"]
        )
        if body["version"] != _VERSION:
            raise ValueError
        return TopicMemory(topics, int(body["next"]))
    except FileNotFoundError:
        return TopicMemory()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        message = f"{path} is no file of topics as `fankui insights topics --memory` writes it; name another one"
        raise DataError("topics_unreadable", message) from None


def write_memory(path: Path, memory: TopicMemory) -> None:
    """Whole or not at all."""
    write_text(path, json.dumps(memory.to_dict(), ensure_ascii=False, indent=1))


def profiles(terms: Terms, codes: Ints, count: int, phrases: Sequence[Sequence[Phrase]]) -> list[TopicProfile]:
    """Of each topic, without an id yet."""
    found = []
    total = terms.document_counts
    for i in range(count):
        rows = np.flatnonzero(codes == i)
        held = np.asarray(terms.matrix[rows].sum(axis=0)).ravel()
        weight = held / max(len(rows), 1) * np.log(len(codes) / np.maximum(total, 1))
        weight[terms.pair] = 0
        best = np.argsort(-weight, kind="stable")[:_TERMS]
        length = float(np.linalg.norm(weight[best])) or 1.0
        name = "、".join(phrase.text for phrase in phrases[i][:3])
        words = {terms.names[j]: round(float(weight[j]) / length, 5) for j in best if weight[j] > 0}
        found.append(TopicProfile("", name, words, words))
    return found


def assign_ids(found: Sequence[TopicProfile], memory: TopicMemory) -> tuple[list[str], TopicMemory, list[bool]]:
    """Ids of the topics, the memory with them in it, and which are new. Matching is one to one and best in all."""
    likeness = np.array([[_likeness(one, other) for other in memory.topics] for one in found])
    ids = [""] * len(found)
    if memory.topics and found:
        for i, j in zip(*linear_sum_assignment(-likeness), strict=True):
            if likeness[i, j] > 0:
                ids[int(i)] = memory.topics[int(j)].id
    following = memory.next
    new = [not given for given in ids]
    for i, is_new in enumerate(new):
        if is_new:
            ids[i] = f"T{following:03}"
            following += 1
    kept = {topic.id: topic for topic in memory.topics}
    for given, profile in zip(ids, found, strict=True):
        first = kept[given].first if given in kept else profile.first
        kept[given] = TopicProfile(given, profile.name, profile.terms, first)
    return ids, TopicMemory(tuple(kept.values()), following), new


def _likeness(now: TopicProfile, before: TopicProfile) -> float:
    """With the last form; 0 where they are not the same topic."""
    last = _cosine(now.terms, before.terms)
    return last if last >= _SAME and _cosine(now.terms, before.first) >= _SAME_FIRST else 0.0


def _weights(body: Mapping[str, Any]) -> dict[str, float]:
    return {str(word): float(weight) for word, weight in body.items()}


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(weight * other[name] for name, weight in one.items() if name in other)
