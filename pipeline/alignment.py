"""Which place in the original each character of a changed text came from.

`offsets` has one entry per character plus one: where it begins in the original, and last, where the text ends there.
Characters that came from one place (笑哭了 out of one emoji) share an entry.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Offsets: TypeAlias = tuple[int, ...]
"""Non-decreasing, *length:* `len(text) + 1`, in code points of the original."""

Edit: TypeAlias = tuple[int, int, str]
"""Start and end in the present text, and what stands there afterwards."""


def identity(length: int) -> list[int]:
    """Offsets of a text that is its own original."""
    return list(range(length + 1))


def rewrite(text: str, offsets: list[int], edits: Iterable[Edit]) -> tuple[str, list[int]]:
    """Apply edits (ascending, not overlapping); the very same objects come back when there are none."""
    pieces: list[str] = []
    mapped: list[int] = []
    at = 0
    for start, end, replacement in edits:
        pieces += (text[at:start], replacement)
        mapped += offsets[at:start]
        mapped += [offsets[start]] * len(replacement)
        at = end
    if not pieces:
        return text, offsets
    pieces.append(text[at:])
    mapped += offsets[at:]
    return "".join(pieces), mapped


def compose(outer: Offsets, inner: Offsets) -> Offsets:
    """Offsets through two changes: `inner` leads into the middle text, `outer` from there to the original."""
    return tuple([outer[i] for i in inner])


def source_span(offsets: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """The span of the original that the characters `start:end` came from; ValueError outside the text."""
    length = len(offsets) - 1
    if not 0 <= start <= end <= length:
        raise ValueError(f"span {start}:{end} is not inside a text of {length} characters")
    if start == end:
        return offsets[start], offsets[start]
    # A place that became several characters ends where the next one begins.
    last = offsets[end - 1]
    while end < length and offsets[end] == last:
        end += 1
    return offsets[start], offsets[end]
