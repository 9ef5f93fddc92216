"""Causes on the bones of the fishbone diagram (Ishikawa): people, machine, material, method, environment, measurement.

A lexicon decides (data/insights.toml); it is a way to sort what customers say, not a finding about the process behind.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.insights.lexicon import Bone, Lexicon, shipped_lexicon
from pipeline.insights.table import FeedbackTable, Ints, Mask

_SHOWN_WORDS = 5


@dataclass(frozen=True, slots=True)
class BoneShare:
    """How many of some comments speak of a bone, against all others. `words`: the bone's, the most frequent first."""

    key: str
    zh: str
    count: int
    share: float
    rest_share: float
    words: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "bone": self.key,
            "zh": self.zh,
            "messages": self.count,
            "share": round(self.share, 4),
            "rest_share": round(self.rest_share, 4),
            "words": list(self.words),
        }


def fishbone(table: FeedbackTable, target: Ints, rest: Ints, *, lexicon: Lexicon | None = None) -> list[BoneShare]:
    """Every bone, the one that the comments speak of most first."""
    found = []
    for bone in (lexicon or shipped_lexicon()).bones:
        inside, words = _speaks(table, target, bone)
        outside, _ = _speaks(table, rest, bone)
        found.append(
            BoneShare(
                bone.key, bone.zh, int(inside.sum()), _share(inside), _share(outside), tuple(words[:_SHOWN_WORDS])
            )
        )
    return sorted(found, key=lambda bone: -bone.count)


def _share(rows: Mask) -> float:
    return float(rows.mean()) if len(rows) else 0.0


def _speaks(table: FeedbackTable, rows: Ints, bone: Bone) -> tuple[Mask, list[str]]:
    counts = dict.fromkeys(bone.words, 0)
    found = np.zeros(len(rows), dtype=np.bool_)
    for place, i in enumerate(rows):
        held = [word for word in bone.words if word in table.texts[i]]
        for word in held:
            counts[word] += 1
        found[place] = bool(held)
    if table.aspects is not None:
        for key in bone.aspects:
            found |= table.aspects.is_polarity(key, -1)[rows]
    words = sorted((word for word, count in counts.items() if count), key=lambda word: (-counts[word], word))
    return found, words
