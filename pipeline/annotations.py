"""Labels without their texts: a line has a key made of the text, and `fankui data join` finds the text again by it.

The texts belong to others, so data/annotations/ holds keys only. `annotation_key` is frozen: under another key no text
would be found. It therefore uses nothing of pipeline.text, and Unicode 3.2, the one version that every Python carries.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from unicodedata import ucd_3_2_0

from pipeline.errors import DataError
from pipeline.readers import read_batches
from pipeline.rows import BAD_ROW, Row

KEY_VERSION: Final = "1"
EXCERPT_CHARACTERS: Final = 300
KEY_CHARACTERS: Final = 280

_KEY = re.compile(r"[0-9a-f]{64}")
_NAMES = ("key", "id", "source", "draw")
# Columns such as `label` repeat a few short values a million times.
_SHORT = 24
_REMEMBERED = 1 << 14


class _Content(dict[int, int | None]):
    """For str.translate: separators (Z), punctuation (P), symbols (S) and control or unassigned characters (C) go."""

    def __missing__(self, code: int) -> int | None:
        self[code] = kept = None if ucd_3_2_0.category(chr(code))[0] in "ZPSC" else code
        return kept


_CONTENT = _Content()


def excerpt(text: str) -> str:
    """What was labelled of a text: its first 300 characters, each run of white space as one blank."""
    # 300 words and the blanks between them are more than 300 characters, so the rest need not be split.
    return " ".join(text.split(None, EXCERPT_CHARACTERS))[:EXCERPT_CHARACTERS]


def annotation_key(text: str) -> str | None:
    """Version 1: sha256 of the first 280 characters of the excerpt, NFKC, without white space, marks and symbols.

    A text and its excerpt have the same key. None where nothing but such characters is in it.
    """
    content = _content(excerpt(text))[:KEY_CHARACTERS]
    return hashlib.sha256(content.encode()).hexdigest() if content else None


@dataclass(frozen=True, slots=True)
class Annotation:
    """The labels of one text, which is known by its key only."""

    key: str
    id: str
    source: str
    draw: str  # how the text was drawn from its source
    labels: Mapping[str, Any]  # task -> label

    def with_text(self, text: str) -> Row:
        """The labelled row that a training reads."""
        return {"id": self.id, "source": self.source, "draw": self.draw, "text": text, **self.labels}


def read_annotations(path: Path) -> tuple[Annotation, ...]:
    """All lines of an annotation file. Raises DataError `annotations_invalid`, and those of the readers."""
    found: list[Annotation] = []
    for batch in read_batches(path):
        for number, row in enumerate(batch.rows, start=batch.first_row):
            mistake = _mistake(row)
            if mistake:
                raise DataError("annotations_invalid", f"{path}, row {number:,}: {mistake}")
            labels = {name: value for name, value in row.items() if name not in _NAMES}
            found.append(Annotation(row["key"], row["id"], row["source"], row["draw"], labels))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class PublicRow:
    """One row of a public set with all texts that may have been labelled of it."""

    dataset: str
    split: str
    number: int  # from 1
    texts: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.dataset}/{self.split}:{self.number}"


@dataclass(frozen=True, slots=True)
class Match:
    """The first text with a key. `others`: places of texts that only begin as it does."""

    text: str  # its excerpt
    place: str
    others: tuple[str, ...] = ()


def match_texts(keys: Collection[str], rows: Iterable[PublicRow]) -> dict[str, Match]:
    """Key -> its text, in one pass; what is kept is what was found. Of texts that differ in marks alone: the first."""
    short: Callable[[str], str | None] = lru_cache(_REMEMBERED)(annotation_key)
    found: dict[str, Match] = {}
    contents: dict[str, set[bytes]] = {}
    for row in rows:
        for text in row.texts:
            key = short(text) if len(text) <= _SHORT else annotation_key(text)
            if key is None or key not in keys:
                continue
            content = hashlib.sha256(_content(text).encode()).digest()
            first = found.setdefault(key, Match(excerpt(text), row.place))
            known = contents.setdefault(key, {content})
            if content in known:
                continue
            known.add(content)
            if row.place != first.place:  # one cell can give several texts
                found[key] = Match(first.text, first.place, (*first.others, row.place))
    return found


@dataclass(frozen=True, slots=True)
class Joined:
    """One annotation file with the texts that were found."""

    rows: tuple[Row, ...]
    missing: tuple[Annotation, ...]
    ambiguous: Mapping[str, Match]  # id -> its match
    sources: Mapping[str, Mapping[str, int]]  # source -> `rows`, `matched`, `missing`, `ambiguous`

    @property
    def total(self) -> int:
        return len(self.rows) + len(self.missing)

    @property
    def share(self) -> float:
        """Part of the file's rows that has its text; 1 for an empty file."""
        return len(self.rows) / self.total if self.total else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Counts, ids and places; no text."""
        return {
            "rows": self.total,
            "matched": len(self.rows),
            "missing": [annotation.id for annotation in self.missing],
            "ambiguous": {name: [match.place, *match.others] for name, match in self.ambiguous.items()},
            "sources": {source: dict(counts) for source, counts in self.sources.items()},
        }


def join_texts(annotations: Sequence[Annotation], matches: Mapping[str, Match]) -> Joined:
    """Put the texts to their labels, in the order of the labels."""
    rows: list[Row] = []
    missing: list[Annotation] = []
    ambiguous: dict[str, Match] = {}
    sources: dict[str, Counter[str]] = {}
    for annotation in annotations:
        counts = sources.setdefault(annotation.source, Counter(rows=0, matched=0, missing=0, ambiguous=0))
        counts["rows"] += 1
        match = matches.get(annotation.key)
        if match is None:
            missing.append(annotation)
            counts["missing"] += 1
            continue
        rows.append(annotation.with_text(match.text))
        counts["matched"] += 1
        if match.others:
            ambiguous[annotation.id] = match
            counts["ambiguous"] += 1
    return Joined(tuple(rows), tuple(missing), ambiguous, sources)


def _content(text: str) -> str:
    return ucd_3_2_0.normalize("NFKC", text).translate(_CONTENT)


def _mistake(row: Row) -> str:
    """What is wrong with a line, or nothing."""
    if BAD_ROW in row:
        return str(row[BAD_ROW])
    absent = [name for name in _NAMES if not isinstance(row.get(name), str)]
    if absent:
        return f"expected a string as {absent[0]!r}; make the line as data/annotations/README.md says"
    if not _KEY.fullmatch(row["key"]):
        return "expected a key of 64 hexadecimal digits; make it with pipeline.annotations.annotation_key"
    if "text" in row:
        return "expected labels without a text, found the column 'text'; such a file needs no join"
    return ""
