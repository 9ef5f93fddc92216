"""The words of a comment, for counting: jieba's, clause by clause, without marks, placeholders and long numbers."""

import re
from collections.abc import Callable, Sequence

from pipeline.privacy import PLACEHOLDERS
from pipeline.segment import words as word_spans

BREAK = ""
"""Stands between two words that are no neighbours: a mark, a placeholder, a number stood there."""

_PLACEHOLDER = re.compile("|".join(map(re.escape, PLACEHOLDERS)))
# Long numbers are order numbers and dates: they name one comment, and may be personal.
_NUMBER = re.compile(r"[0-9.]+|[0-9A-Za-z]*[0-9]{5,}[0-9A-Za-z]*|[A-Za-z]")


def is_word(word: str) -> bool:
    """Whether something that can be counted: letters or Han, no bare number, no single Latin letter."""
    return bool(word) and word.isalnum() and not _NUMBER.fullmatch(word)


def document_words(text: str) -> list[str]:
    """Words in order, lower-case, BREAK between those that are no neighbours. `text` is prepared."""
    found = [BREAK]
    for piece in _PLACEHOLDER.split(text):
        for start, end in word_spans(piece):
            word = piece[start:end].lower()
            if word.isspace():
                continue
            if is_word(word):
                found.append(word)
            elif found[-1] != BREAK:
                found.append(BREAK)
        if found[-1] != BREAK:
            found.append(BREAK)
    return found[1:]


def all_words(texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> list[list[str]]:
    """`document_words` of all texts; a text that comes again is cut once."""
    known: dict[str, list[str]] = {}
    found = []
    for i, text in enumerate(texts, 1):
        if text not in known:
            known[text] = document_words(text)
        found.append(known[text])
        if progress is not None and i % 1000 == 0:
            progress(i)
    return found
