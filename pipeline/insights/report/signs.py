"""What an issue is recognised by in other weeks: key phrases of which a comment has to hold so many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.insights.table import Ints, Mask

_MOST_PHRASES = 8
_MOST_NEEDED = 3


@dataclass(frozen=True, slots=True)
class Signs:
    """A comment belongs that holds at least `least` of the phrases."""

    phrases: tuple[str, ...]
    least: int

    def found(self, texts: Sequence[str]) -> Mask:
        """(n,) `texts` are `plain` ones."""
        return np.asarray(_held(self.phrases, texts).sum(axis=0) >= self.least)

    def to_dict(self) -> dict[str, Any]:
        return {"phrases": list(self.phrases), "least": self.least}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Signs":
        """Raises KeyError, TypeError, ValueError on anything else than what `to_dict` gives."""
        phrases, least = tuple(map(str, body["phrases"])), int(body["least"])
        if not phrases or not 1 <= least <= len(phrases):
            raise ValueError("no signs")
        return cls(phrases, least)


def plain(texts: Sequence[str]) -> list[str]:
    """As phrases are written: lower case, without spaces."""
    return ["".join(text.lower().split()) for text in texts]


def signs_of(phrases: Sequence[str], texts: Sequence[str], belongs: Mask) -> Signs | None:
    """How many of which phrases tell the rows that belong from the others best (F1); None where there is no phrase.

    `texts`: plain ones. `belongs`: (n,). Where two or three are needed the first phrases are taken; where one is
    enough, one after the other that adds most: retellings of one matter need not share a word.
    """
    wanted = tuple(dict.fromkeys(plain(phrases)))
    held = _held(wanted, texts)
    best: tuple[float, Signs] | None = None
    for count in range(1, min(_MOST_PHRASES, len(wanted)) + 1):
        hits = held[:count].sum(axis=0)
        for least in range(2, min(_MOST_NEEDED, count) + 1):
            best = _better(best, likeness(hits >= least, belongs), Signs(wanted[:count], least))
    chosen: list[int] = []
    found = np.zeros(len(texts), dtype=np.bool_)
    while len(chosen) < min(_MOST_PHRASES, len(wanted)):
        left = [i for i in range(len(wanted)) if i not in chosen]
        qualities = [likeness(found | held[i], belongs) for i in left]
        found = found | held[left[int(np.argmax(qualities))]]
        chosen.append(left[int(np.argmax(qualities))])
        best = _better(best, max(qualities), Signs(tuple(wanted[i] for i in chosen), 1))
    return None if best is None else best[1]


def likeness(found: Mask, belongs: Mask) -> float:
    """F1 of what is found for what belongs, 0 to 1."""
    return 2 * int((found & belongs).sum()) / max(int(found.sum() + belongs.sum()), 1)


def _better(best: tuple[float, Signs] | None, quality: float, signs: Signs) -> tuple[float, Signs]:
    return (quality, signs) if best is None or quality > best[0] + 1e-9 else best


def hits(phrases: Sequence[str], texts: Sequence[str]) -> Ints:
    """(n,) how many of the phrases each text holds. `texts`: plain ones."""
    return np.asarray(_held(plain(phrases), texts).sum(axis=0), dtype=np.int64)


def _held(phrases: Sequence[str], texts: Sequence[str]) -> Any:
    """(phrases, n) whether each text holds each."""
    rows = [np.fromiter((phrase in text for text in texts), np.bool_, count=len(texts)) for phrase in phrases]
    return np.array(rows, dtype=np.bool_).reshape(len(phrases), len(texts))
