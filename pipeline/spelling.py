"""The steps of `normalize`: each takes a text with its offsets and gives both back, the same objects if unchanged."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from pipeline.alignment import Edit, rewrite, source_span
from pipeline.pii import PLACEHOLDERS
from pipeline.script import simplify

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}

# Format characters (Cf) as of Unicode 14, spelled out so that every Python gives the same result; and those that are
# invisible without being Cf: joiner, fillers, variation selectors, braille blank, object replacement. Further stray
# combining marks, which nothing composes with (zalgo, strike-through), keycap circles, skin tones, ZWJ with a gender.
_INVISIBLE = re.compile(
    "\u200d[\u2640\u2642]"
    "|[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    "\u00ad\u0300-\u036f\u0483-\u0489\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\u2800\u3164\ufe00-\ufe0f\ufe20-\ufe2f\ufeff"
    "\uffa0\ufff0-\ufffc\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U0001f3fb-\U0001f3ff\U000e0000-\U000e0fff]"
)
_MAX_MARKS = 32
"""A base character with more than this many followers is noise; sorting them would be quadratic."""

_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_PICTURE = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[\u00a9\u00ae\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\U0001f000-\U0001faff]"
)
# Some apps end a mark with a letter: [笑哭R].
_MARK = re.compile(r"\[(?:([\u4e00-\u9fff]{1,8})[A-Z]?|([A-Za-z]{2,8}))\]")
_SPACES = re.compile(r"\s{2,}|[^\S \n]")
_LINE_ENDS = frozenset("\n\r\v\f\x85\u2028\u2029")

_RUN = 3
"""Repetitions of one to four characters that are kept; more say nothing new, and jieba is quadratic on them."""

_DIGIT_RUN = 20
"""Digits are kept up to this length: 13888888888 is a phone number, and no such number is longer than 19."""

_REPEATED = re.compile(r"([^0-9])\1{3}|([^0-9])([^0-9])(?:\2\3){3}|([^0-9]{3})\4{3}|([^0-9]{4})\5{3}|([0-9])\6{20}")


def narrow(text: str) -> str:
    """Full-width ASCII and the ideographic space to ASCII, one to one. Nearly all that NFKC does to a usual comment."""
    return text.translate(_WIDE)


def compatible(text: str, offsets: list[int]) -> tuple[str, list[int]]:
    """NFKC, and decimal digits of other scripts to ASCII."""
    if not unicodedata.is_normalized("NFKC", text):
        text, offsets = rewrite(text, offsets, _compatibility_edits(text))
    if _FOREIGN_DIGIT.search(text):
        digits = ((m.start(), m.end(), str(unicodedata.decimal(m[0]))) for m in _FOREIGN_DIGIT.finditer(text))
        text, offsets = rewrite(text, offsets, digits)
    return text, offsets


def _compatibility_edits(text: str) -> Iterator[Edit]:
    start = 0
    for end in range(1, len(text) + 1):
        if end < len(text) and not _starts(text[end]):
            continue
        chunk = text[start:end]
        folded = unicodedata.normalize("NFKC", chunk[:_MAX_MARKS])
        if folded != chunk:
            yield start, end, folded
        start = end


def _starts(char: str) -> bool:
    """Whether nothing before `char` composes with it."""
    if char < "\u0300" or "\u3400" <= char <= "\u9fff":
        return True
    first = unicodedata.normalize("NFKD", char)[0]
    return not (unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff")


def visible(text: str, offsets: list[int]) -> tuple[str, list[int]]:
    """Invisible characters and stray marks out."""
    if not _INVISIBLE.search(text):
        return text, offsets
    return rewrite(text, offsets, ((m.start(), m.end(), "") for m in _INVISIBLE.finditer(text)))


def spoken(text: str, offsets: list[int]) -> tuple[str, list[int]]:
    """Emoji and [微笑] marks become 中文 words, set off by spaces; more than three of one in a row are dropped."""
    if "[" in text and _MARK.search(text):
        text, offsets = rewrite(text, offsets, _limited(_mark_edits(text)))
    if _PICTURE.search(text):
        text, offsets = rewrite(text, offsets, _limited(_picture_edits(text)))
    return text, offsets


def _mark_edits(text: str) -> Iterator[Edit]:
    for match in _MARK.finditer(text):
        if match[0] not in PLACEHOLDERS:
            yield match.start(), match.end(), f" {match[1] or match[2]} "


def _picture_edits(text: str) -> Iterator[Edit]:
    words = _picture_words()
    for match in _PICTURE.finditer(text):
        if match[0] in words:
            yield match.start(), match.end(), words[match[0]]


def _limited(edits: Iterator[Edit]) -> Iterator[Edit]:
    last, count = (-1, -1, ""), 0
    for edit in edits:
        count = count + 1 if edit[0] == last[1] and edit[2] == last[2] else 1
        last = (edit[0], edit[1], edit[2])
        yield edit if count <= _RUN else (edit[0], edit[1], "")


@cache
def _picture_words() -> dict[str, str]:
    """Emoji -> its 中文 name between spaces. Sequences are left out: their joiners are gone when this is asked."""
    from emoji import EMOJI_DATA, config

    config.load_language("zh")
    words = {}
    for picture, names in EMOJI_DATA.items():
        if _PICTURE.fullmatch(picture):
            name = re.sub(r"[^\w]|_", "", names.get("zh", names["en"]))
            words[picture] = f" {simplify(name)[0].removeprefix('按键')} "
    return words


def spaced(text: str, offsets: list[int]) -> tuple[str, list[int]]:
    """White space to one space, or one newline where it held a line end; none at the ends."""
    if _SPACES.search(text):
        edits = ((m.start(), m.end(), " " if _LINE_ENDS.isdisjoint(m[0]) else "\n") for m in _SPACES.finditer(text))
        text, offsets = rewrite(text, offsets, (edit for edit in edits if text[edit[0] : edit[1]] != edit[2]))
    if text and (text[0].isspace() or text[-1].isspace()):
        first = len(text) - len(text.lstrip())
        text, offsets = cut(text[first:], offsets[first:], len(text))
    return text, offsets


def cut(text: str, offsets: list[int], length: int) -> tuple[str, list[int]]:
    """The first `length` characters, without trailing white space."""
    text = text[:length].rstrip()
    return text, [*offsets[: len(text)], source_span(offsets, 0, len(text))[1]]


def squeezed(text: str, offsets: list[int]) -> tuple[str, list[int]]:
    """At most three repetitions in a row of any one to four characters; digits excepted up to twenty.

    One pass suffices: the text so far never holds a fourth repetition, since it is taken off as it is completed.
    """
    if not _REPEATED.search(text):
        return text, offsets
    kept: list[str] = []
    places: list[int] = []
    # For each kept character and each unit of 1 to 4: how many characters up to here equal the one a unit earlier.
    counts: list[tuple[int, int, int, int]] = []
    for char, place in zip(text, offsets, strict=False):
        digit = char in "0123456789"
        previous = counts[-1] if counts else (0, 0, 0, 0)
        same = [
            previous[unit - 1] + 1 if len(kept) >= unit and kept[-unit] == char and (not digit or unit == 1) else 0
            for unit in (1, 2, 3, 4)
        ]
        kept.append(char)
        places.append(place)
        counts.append((same[0], same[1], same[2], same[3]))
        limits = (_DIGIT_RUN, 99, 99, 99) if digit else (_RUN, 2 * _RUN, 3 * _RUN, 4 * _RUN)
        for unit in (1, 2, 3, 4):
            if same[unit - 1] >= limits[unit - 1]:
                del kept[-unit:], places[-unit:], counts[-unit:]
                break
    return "".join(kept), [*places, offsets[-1]]
