"""Traditional to simplified Chinese with OpenCC (t2s), keeping track of every character.

Measured on OpenCC 1.4.2: each of its 4,600 entries keeps the number of characters, so that alignment is one to one; its
single-character moves have no cycle and at most three steps, so that a fixed point exists. It is not idempotent
by itself (怀釐 becomes 怀厘 only the second time).
"""

from functools import cache
from typing import Protocol

from pipeline.alignment import Offsets, identity, rewrite


class Converter(Protocol):
    """What is used of `opencc.OpenCC`."""

    def convert(self, text: str) -> str: ...


@cache
def _opencc() -> Converter:
    from opencc import OpenCC

    converter: Converter = OpenCC("t2s")
    return converter


def simplify(text: str) -> tuple[str, Offsets]:
    """The simplified text and its offsets into `text`; what is simplified already comes out unchanged."""
    changed, offsets = simplify_aligned(text, identity(len(text)))
    return changed, tuple(offsets)


def simplify_aligned(text: str, offsets: list[int], *, converter: Converter | None = None) -> tuple[str, list[int]]:
    """As `simplify`, carrying on offsets that lead further back."""
    converter = converter or _opencc()
    while (converted := converter.convert(text)) != text:
        if len(converted) == len(text):
            text = converted
            continue
        # A dictionary with entries of unequal length: characters one by one, out of context but aligned.
        edits = [(i, i + 1, new) for i, old in enumerate(text) if (new := converter.convert(old)) != old]
        if not edits:
            break
        text, offsets = rewrite(text, offsets, edits)
    return text, offsets
