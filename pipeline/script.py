"""Traditional to simplified Chinese with OpenCC (t2s), keeping track of every character.

Measured on OpenCC 1.4.2: each of its 4,600 entries keeps the number of characters, so that alignment is one to one. By
itself it is not idempotent (怀釐 becomes 怀厘 the second time), and it harms simplified text (打坏 becomes 打坯).
"""

from functools import cache
from typing import Protocol

from pipeline.alignment import Offsets, identity, rewrite

_SHARED = frozenset("沈覆乾藉徵哩俱捱拚摺薹坏么")
"""Moved by OpenCC, but at home in simplified text too (沈阳, 覆盖): moved only where the text is traditional anyway."""

_NEVER = frozenset("坏么")
"""坏 for 坯 and 么 for 幺 are archaic; in a comment they are broken (壞) and the particle (麼)."""


class Converter(Protocol):
    """What is used of `opencc.OpenCC`."""

    def convert(self, text: str) -> str: ...


@cache
def _opencc() -> Converter:
    from opencc import OpenCC

    converter: Converter = OpenCC("t2s")
    return converter


def simplify(text: str) -> tuple[str, Offsets]:
    """The simplified text and its offsets into `text`; what is simplified already comes out unchanged. Idempotent."""
    changed, offsets = simplify_aligned(text, identity(len(text)))
    return changed, tuple(offsets)


def simplify_aligned(text: str, offsets: list[int], *, converter: Converter | None = None) -> tuple[str, list[int]]:
    """As `simplify`, carrying on offsets that lead further back."""
    converter = converter or _opencc()
    kept = _NEVER
    # To a fixed point, which exists: OpenCC's moves from character to character have no cycles.
    while (converted := converter.convert(text)) != text:
        if len(converted) != len(text):
            # A dictionary with entries of unequal length: characters one by one, out of context but aligned.
            single = [(i, i + 1, new) for i, old in enumerate(text) if (new := converter.convert(old)) != old]
            return rewrite(text, offsets, single)
        moves = [(old, new) for old, new in zip(text, converted, strict=True)]
        if all(old == new or old in _SHARED for old, new in moves):
            break
        text = "".join([old if old in kept else new for old, new in moves])
        kept = _SHARED
    return text, offsets
