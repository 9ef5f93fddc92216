"""Personal data out of a comment: typed placeholders instead, so that [手机号] still tells a model what stood there.

Works on normalized text (full-width, circled and invisible disguises are folded there). Digit borders are look-arounds:
`\\b` finds no border between a Chinese character and a digit.

What is not covered: names of people, passports and permits without a keyword, spelled-out numbers other than mobile
ones, letters in place of digits, landline numbers with neither area code nor keyword, addresses without a number.
"""

import re
from dataclasses import dataclass

from pipeline import pii_handles, pii_numbers
from pipeline.alignment import Offsets, compose, identity, rewrite, source_span
from pipeline.pii import PLACEHOLDERS, PiiSpan

__all__ = ["MASK_VERSION", "PLACEHOLDERS", "Masked", "PiiSpan", "find", "mask"]

MASK_VERSION = "1"

# Nothing is found in a text without one of these; most comments end here.
_SUSPECT = re.compile(r"[0-9]|@|[A-Za-z_][A-Za-z0-9_\-]{5}|[零〇○一幺二两三四五六七八九]{6}")

# Earlier ones take precedence where two claim the same characters.
_DETECTORS = (
    pii_handles.emails,
    pii_numbers.resident_ids,
    pii_numbers.phones,
    pii_numbers.bank_cards,
    pii_handles.accounts,
    pii_handles.plates,
    pii_handles.addresses,
)


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without the personal data that was found in it."""

    text: str
    offsets: Offsets  # into the text given to `mask`, see pipeline.alignment
    spans: tuple[PiiSpan, ...]  # in the text given to `mask`

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Span of the text given to `mask` that the characters `start:end` of `text` came from."""
        return source_span(self.offsets, start, end)


def mask(text: str) -> Masked:
    """Replace personal data by placeholders. Idempotent; linear in the length."""
    offsets = tuple(identity(len(text)))
    spans: list[PiiSpan] = []
    # What touched a masked number can become visible as a number of its own, hence rounds; each takes characters away.
    while found := find(text):
        for span in found:
            start, end = source_span(offsets, span.start, span.end)
            spans.append(PiiSpan(span.kind, start, end, span.certainty))
        edits = [(span.start, span.end, f"[{span.kind}]") for span in found]
        text, inner = rewrite(text, identity(len(text)), edits)
        offsets = compose(offsets, tuple(inner))
    return Masked(text, offsets, tuple(sorted(spans, key=lambda span: span.start)))


def find(text: str) -> list[PiiSpan]:
    """Personal data in `text`, from left to right, not overlapping."""
    if not _SUSPECT.search(text):
        return []
    taken = bytearray(len(text))
    found = []
    for detect in _DETECTORS:
        for span in detect(text):
            if taken.find(1, span.start, span.end) < 0:
                taken[span.start : span.end] = b"\1" * (span.end - span.start)
                found.append(span)
    return sorted(found, key=lambda span: span.start)
