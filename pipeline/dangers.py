"""Words of danger in a prepared text, by a lexicon (data/dangers.toml): fire, poison, violence, threats of the law …

They are a safety net below the model: what is found may raise a decision (pipeline/routing.py), never a probability.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.assertion import BORDERS, asserted
from pipeline.config_file import read_config_file, unknown_key
from pipeline.errors import ConfigError, TextError
from pipeline.pii import PLACEHOLDERS
from pipeline.resources import shipped
from pipeline.text import normalize

GAP = "…"
"""Stands in a term for up to six characters of the same clause, without a word of denial."""

_ANY = f"[^{BORDERS}没不未无别]{{0,6}}?"
_DIGITS = "0123456789"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_JOINED = re.compile("[、和或及与跟]|或者|以及|还有|甚至")
"""Between two dangers of one kind that are told, or denied, together: “没有漏电、冒烟”."""

_NUMBER_REACH = 6
_NUMBER_HAN = 2
"""So many Han characters stand within so many characters of a term of digits alone; without words it is any number."""

_HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")
_PLACEHOLDER = re.compile("|".join(map(re.escape, PLACEHOLDERS)))

_PICTURE = re.compile(r"(?:(?<=\s)|^)(?:爆炸|呕吐|受伤)(?=\s|$)")
"""What 💥, 🤮 and 🤕 become in a prepared text (pipeline/spelling.py): words between spaces, which report nothing."""


@dataclass(frozen=True, slots=True)
class DangerTerms:
    """One [[dangers]] table of the file. A group may have several, with different levels."""

    group: str
    level: str  # the label of the due task that they raise a decision to
    terms: tuple[str, ...]
    exceptions: tuple[str, ...] = ()  # spellings that hold a term and mean something else
    threat: bool = False  # what the writer may do, not what has happened: conditions and questions do not undo it


@dataclass(frozen=True, slots=True)
class Danger:
    """A term where it stands: `start` and `end` in the prepared text."""

    group: str
    term: str  # as the lexicon spells it
    level: str
    start: int
    end: int


@dataclass(frozen=True)
class DangerLexicon:
    """All terms. Where several spellings begin at one place the longest counts, exceptions included."""

    version: str
    entries: tuple[DangerTerms, ...]
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _terms: tuple[tuple[str, DangerTerms], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spelled: dict[str, DangerTerms | None] = {}
        for entry in self.entries:
            spelled.update(dict.fromkeys(entry.terms, entry))
            spelled.update(dict.fromkeys(entry.exceptions))
        # By first character, so that a place is passed over at one look; within it the longest first.
        ordered = sorted(spelled, key=lambda spelling: (spelling[0], -len(spelling), spelling))
        object.__setattr__(self, "_pattern", re.compile("|".join(_branches(ordered, spelled)) or r"(?!)"))
        terms = tuple((spelling, owner) for spelling in ordered if (owner := spelled[spelling]) is not None)
        object.__setattr__(self, "_terms", terms)

    def matches(self, text: str) -> Iterator[tuple[str, DangerTerms, int, int]]:
        """Every term that the text spells, from left to right, whatever is said of it."""
        for match in self._pattern.finditer(text):
            if match.lastindex is not None:
                term, entry = self._terms[match.lastindex - 1]
                yield term, entry, match.start(), match.end()


def find_dangers(text: str, lexicon: DangerLexicon) -> tuple[Danger, ...]:
    """Dangers that the text tells of, from left to right; `text` as `pipeline.prepare.prepare` gives it.

    What is denied, asked before buying, supposed or guarded against is left out (pipeline/assertion.py). Pure; 3 µs for
    a comment of 50 characters that has none.
    """
    found = []
    last: tuple[int, bool, bool] | None = None  # end, threat and verdict of the term before
    for term, entry, start, end in lexicon.matches(text):
        if _PICTURE.match(text, start) or (term.isdigit() and not _among_words(text, start, end)):
            continue
        told = asserted(text, start, end, threat=entry.threat)
        if last is not None and last[1] == entry.threat and _together(text[last[0] : start]):
            told = last[2]
        last = (end, entry.threat, told)
        if told:
            found.append(Danger(entry.group, term, entry.level, start, end))
    return tuple(found)


def load_dangers(path: Path | None = None) -> DangerLexicon:
    """Read a lexicon from TOML; without a path the shipped one. Raises ConfigError with the place of the mistake."""
    path = path or shipped("data", "dangers.toml")
    advice = "correct file in [dangers] of the routing policy"
    return dangers_from_dict(read_config_file(path, name="danger", code="dangers", advice=advice))


def dangers_from_dict(data: Mapping[str, Any]) -> DangerLexicon:
    """Check and build a lexicon from its plain form; ConfigError `dangers_invalid` tells the first mistake."""
    _only(data, {"version", "dangers"}, "the file")
    tables = data.get("dangers", [])
    if not isinstance(tables, list):
        raise _invalid(f"dangers: expected tables [[dangers]]; found {type(tables).__name__}")
    entries = tuple(danger_terms(body, f"[[dangers]] {i}") for i, body in enumerate(tables, 1))
    seen: dict[str, str] = {}
    for entry in entries:
        for spelling in (*entry.terms, *entry.exceptions):
            if spelling in seen:
                raise _invalid(f"{spelling!r} stands twice, in {seen[spelling]} and {entry.group}; keep one of them")
            seen[spelling] = entry.group
    return DangerLexicon(str(data.get("version", "1")), entries)


def danger_terms(body: Any, where: str) -> DangerTerms:
    """Check and build one table; ConfigError `dangers_invalid` tells the first mistake."""
    if not isinstance(body, Mapping):
        raise _invalid(f"{where}: expected a table; found {type(body).__name__}")
    _only(body, {"group", "level", "terms", "exceptions", "threat"}, where)
    group, level, threat = body.get("group"), body.get("level"), body.get("threat", False)
    if not isinstance(group, str) or not _NAME.fullmatch(group):
        raise _invalid(f"{where}: group is lower-case ASCII letters, digits and _; found {group!r}")
    where = f"{where} ({group})"
    if not isinstance(level, str) or not level:
        raise _invalid(f"{where}: level is a label of the due task, such as 'critical'; found {level!r}")
    if not isinstance(threat, bool):
        raise _invalid(f"{where}: threat is true or false; found {threat!r}")
    terms = _spellings(body.get("terms"), f"{where} terms")
    exceptions = _spellings(body.get("exceptions", []), f"{where} exceptions")
    if not terms:
        raise _invalid(f"{where} terms: expected at least one; found none")
    parts = [part for term in terms for part in term.split(GAP)]
    for exception in exceptions:
        if not any(part in exception for part in parts):
            raise _invalid(f"{where} exceptions: {exception!r} holds none of its terms, so that it excepts nothing")
    return DangerTerms(group, level, terms, exceptions, threat)


def _spellings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(spelling, str) for spelling in value):
        raise _invalid(f"{where}: expected a list of texts; found {value!r}")
    for spelling in value:
        for part in spelling.split(GAP):
            # What `prepare` spells in another way is never found.
            known = _normalized(part)
            if not part or known != part:
                raise _invalid(f"{where}: {spelling!r} is not as a prepared text spells it; write {known or 'words'!r}")
    return tuple(value)


def _normalized(part: str) -> str:
    try:
        return normalize(part).text
    except TextError:
        return ""


def _branches(ordered: Iterable[str], spelled: Mapping[str, DangerTerms | None]) -> Iterator[str]:
    for first, spellings in groupby(ordered, key=lambda spelling: spelling[0]):
        # An empty group marks the end of each term, so that `lastindex` tells which one it was.
        rests = [_rest(spelling) + "()" * (spelled[spelling] is not None) for spelling in spellings]
        yield f"{re.escape(first)}(?:{'|'.join(rests)})"


def _rest(spelling: str) -> str:
    """All but the first character as a regular expression. 12315 is none in a longer number, an amount or a room's."""
    before = f"(?<![0-9¥.]{spelling[0]})" if spelling[0] in _DIGITS else ""
    after = "(?![0-9元块房号室])" if spelling[-1] in _DIGITS else ""
    return before + _ANY.join(re.escape(part) for part in spelling.split(GAP))[len(re.escape(spelling[0])) :] + after


def _among_words(text: str, start: int, end: int) -> bool:
    """Whether a number stands in a sentence. “[手机号]” beside it is none."""
    reach = _NUMBER_REACH + max(map(len, PLACEHOLDERS))  # so that none is seen without its bracket
    before = _blank(text[max(0, start - reach) : start])[-_NUMBER_REACH:]
    after = _blank(text[end : end + reach])[:_NUMBER_REACH]
    return len(_HAN.findall(before + after)) >= _NUMBER_HAN


def _blank(text: str) -> str:
    return _PLACEHOLDER.sub(lambda match: " " * len(match[0]), text)


def _together(between: str) -> bool:
    return not between or _JOINED.fullmatch(between) is not None


def _only(body: Mapping[str, Any], allowed: set[str], where: str) -> None:
    if wrong := unknown_key(body, allowed, where):
        raise _invalid(wrong)


def _invalid(message: str) -> ConfigError:
    return ConfigError("dangers_invalid", f"dangers: {message}")
