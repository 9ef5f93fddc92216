"""The one guard against training on what is measured on; every stage that reads text for training asks it.

A text is held back where, over letters, digits and Han only, it

- is one of the guarded texts, or begins with the first 60 characters of one;
- contains those 60 characters (or all of a guarded text of at least 20) anywhere, as a dialogue contains its turns;
- is a near-duplicate of one: Jaccard similarity of character 3-grams of at least 0.8 over the first 280 characters
  (guarded rows may be cut at 300).

The labelled dev texts ship as keys without texts (data/annotations/dev.jsonl) and are guarded by them everywhere: a
text with such a key, as it stands in its file or prepared, is held back as the same. A key tells neither of
near-duplicates nor of what contains its text: those are found of texts only, where triage/dev.jsonl is there.

Near-duplicates are found by prefix filtering (Bayardo, Ma and Srikant 2007), which misses none, and where a few
thousand texts are guarded against millions is faster than the sketches of MinHash.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.annotations import annotation_key, read_annotations
from pipeline.duplicates import text_key
from pipeline.errors import TextError
from pipeline.prepare import prepare
from pipeline.resources import shipped

if TYPE_CHECKING:
    from training.public_sets import PublicSet

Match = Literal["same", "contained", "near"]
MATCHES: tuple[Match, ...] = ("same", "contained", "near")

_HEAD = 60
_BODY = 280
ANCHOR = 20  # shorter texts ("质量很好") occur inside others by chance
_THRESHOLD = 0.8
_GRAM = 3


@dataclass(frozen=True, slots=True)
class Screened:
    """What the guard let through of one source: positions, and how many it held back by which match."""

    kept: tuple[int, ...]
    held: Counter[Match]


class LeakGuard:
    """Guards texts that serve to measure. Both sides are compared as `prepare` leaves them."""

    def __init__(self, guarded: Iterable[str], *, labeled: Collection[str] = ()) -> None:
        """`guarded`: raw or prepared texts; those that cannot be prepared (empty ones) are left out.

        `labeled`: annotation keys of texts that need not be there.
        """
        self.labeled = frozenset(labeled)
        keys = dict.fromkeys(text_key(text) for text in _prepared(guarded))
        self._heads = {key[:_HEAD] for key in keys}
        self._anchors: dict[str, list[str]] = {}
        for head in sorted(self._heads):
            if len(head) >= ANCHOR:
                self._anchors.setdefault(head[:ANCHOR], []).append(head)
        self._grams = [_grams(key[:_BODY]) for key in keys]
        self._index = _rare_grams(self._grams)

    def __len__(self) -> int:
        return len(self._grams)

    def __str__(self) -> str:
        return (
            f"{len(self):,} texts of dev and the evaluation splits are guarded, and {len(self.labeled):,} labelled "
            "dev texts by their keys"
        )

    def match(self, text: str, forms: Iterable[str] = ()) -> Match | None:
        """How a prepared text is among the guarded ones, or None where it may be trained on.

        `forms`: the raw text, and what else of it may have been labelled.
        """
        key = text_key(text)
        if key[:_HEAD] in self._heads or self.holds(text, *forms):
            return "same"
        if self._contains(key):
            return "contained"
        return "near" if self._near(_grams(key[:_BODY])) else None

    def holds(self, *texts: str) -> bool:
        """Whether one of the texts, as it stands, has the key of a labelled dev text."""
        return bool(self.labeled) and any(annotation_key(text) in self.labeled for text in dict.fromkeys(texts))

    def screen(self, texts: Sequence[str], raw: Sequence[str] | None = None) -> Screened:
        """Sort the prepared texts of one source, with the raw ones beside them, into kept and held back."""
        held: Counter[Match] = Counter()
        kept = []
        for i, text in enumerate(texts):
            found = self.match(text, [raw[i]] if raw else ())
            if found is None:
                kept.append(i)
            else:
                held[found] += 1
        return Screened(tuple(kept), held)

    def _contains(self, key: str) -> bool:
        pieces = {key[i : i + ANCHOR] for i in range(len(key) - ANCHOR + 1)}
        return any(head in key for piece in pieces & self._anchors.keys() for head in self._anchors[piece])

    def _near(self, grams: frozenset[str]) -> bool:
        candidates = {number for gram in grams & self._index.keys() for number in self._index[gram]}
        return any(_alike(grams, self._grams[number]) for number in candidates)


def guard_of(data: Path, sets: Sequence["PublicSet"] = ()) -> LeakGuard:
    """The guard over triage/dev.jsonl, the shipped dev keys and all evaluation splits under a data folder.

    `sets`: of a table of one's own, whose evaluation splits are guarded beside those of the shipped one.
    """
    from training.public_sets import evaluation_texts

    keys = {one.key for one in read_annotations(labeled_dev())}
    return LeakGuard(evaluation_texts(data, sets), labeled=keys)


def labeled_dev() -> Path:
    """The keys of the labelled dev texts, as they ship."""
    return shipped("data", "annotations", "dev.jsonl")


def _prepared(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        try:
            yield prepare(text).text
        except TextError:
            continue


def _grams(key: str) -> frozenset[str]:
    return frozenset(key[i : i + _GRAM] for i in range(max(1, len(key) - _GRAM + 1)))


def _rare_grams(sets: Sequence[frozenset[str]]) -> dict[str, list[int]]:
    """Gram -> the texts that it stands for.

    A text at Jaccard t or more shares t of the n grams, so it has at least one of any n - ceil(t n) + 1 of them; the
    rarest are chosen, which keeps the lists short.
    """
    counts = Counter(gram for grams in sets for gram in grams)
    index: dict[str, list[int]] = {}
    for number, grams in enumerate(sets):
        wanted = len(grams) - math.ceil(_THRESHOLD * len(grams) - 1e-9) + 1
        for gram in sorted(grams, key=lambda gram: (counts[gram], gram))[:wanted]:
            index.setdefault(gram, []).append(number)
    return index


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    small, large = sorted((len(one), len(other)))
    if small < _THRESHOLD * large:
        return False
    shared = len(one & other)
    return shared >= _THRESHOLD * (len(one) + len(other) - shared)
