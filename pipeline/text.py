"""One spelling for every comment: the first of the two steps between raw text and a model (the other masks privacy).

`normalize` is idempotent, takes linear time and remembers where each character came from. A change of behaviour
needs a new NORMALIZER_VERSION: models are bound to the one that they were trained with.
"""

from dataclasses import dataclass

from pipeline import spelling
from pipeline.alignment import Offsets, identity, source_span
from pipeline.errors import ConfigError, TextError
from pipeline.script import simplify_aligned

NORMALIZER_VERSION = "1"

MAX_CHARS = 2000
"""Default cap in characters; jieba and attention both grow worse than linearly beyond."""

RAW_PER_CHAR = 20
"""Raw text longer than this many times the cap is cut before any work: NFKC shrinks no honest comment that much."""

_STEPS = (
    spelling.compatible,
    spelling.visible,
    simplify_aligned,
    spelling.spoken,
    spelling.spaced,
    spelling.squeezed,
)


@dataclass(frozen=True, slots=True)
class Normalized:
    """A comment in its one spelling."""

    text: str
    offsets: Offsets  # into the raw text, see pipeline.alignment
    raw_length: int
    truncated: bool  # something was cut off at the cap

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Span of the raw text (code points) that the characters `start:end` of `text` came from."""
        return source_span(self.offsets, start, end)


def normalize(text: str, *, max_chars: int = MAX_CHARS) -> Normalized:
    """NFKC, visible, simplified, emoji and [表情] as words, white space collapsed, runs squeezed, capped.

    Raises TextError `not_text`, `empty_text`, `nul_character` or `invalid_unicode`.
    """
    _check(text)
    if max_chars < 1:
        raise ConfigError("max_chars_invalid", f"max_chars is at least 1; found {max_chars}")
    current = spelling.narrow(text[: RAW_PER_CHAR * max_chars])
    offsets = identity(len(current))
    truncated = len(current) < len(text)
    before = ""
    # Steps can prepare the ground for each other (a phrase that only appears once a run is squeezed), so they run to a
    # fixed point. It exists: after the first round nothing grows, and conversion has no cycles. Usually two rounds.
    while current != before:
        before = current
        for step in _STEPS:
            current, offsets = step(current, offsets)
        if len(current) > max_chars:
            truncated = True
            current, offsets = spelling.cut(current, offsets, max_chars)
    if not current:
        raise TextError("empty_text", "expected a comment; found no visible characters; leave empty rows out")
    return Normalized(current, tuple(offsets), len(text), truncated)


def _check(text: object) -> None:
    if not isinstance(text, str):
        raise TextError(
            "not_text", "expected text; found another type or a missing value; give each comment as a string"
        )
    if "\0" in text:
        raise TextError(
            "nul_character", "expected text; found a NUL character (U+0000); remove it or check the encoding"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        message = "expected valid Unicode; found a lone surrogate; decode the source as UTF-8 or GB18030 again"
        raise TextError("invalid_unicode", message) from None
