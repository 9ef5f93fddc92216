"""Cuts text into clauses, words and windows. All spans together cover the text: no character is lost.

The only module that knows jieba. Text is normalized, so full-width ，！？； have become ASCII; both are cut at.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jieba

Span = tuple[int, int]

# A comma, colon or full stop between digits belongs to a number; closing quotes belong to the clause before them.
_CLAUSE_END = re.compile(r"(?:[。！？；，!?;…\n]|\.{2,}|(?<![0-9]),|,(?![0-9]))+[”’\"'」』)）]*")

_PIECE = 200
"""Longest piece given to jieba: its HMM copies the path at each step, so that 100,000 equal characters took 45 s."""


def clauses(text: str) -> list[Span]:
    """Spans of the clauses, each with its closing punctuation."""
    ends = [match.end() for match in _CLAUSE_END.finditer(text)]
    if text and (not ends or ends[-1] < len(text)):
        ends.append(len(text))
    return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []


def words(text: str) -> list[Span]:
    """Spans of the words by jieba, spaces and punctuation included."""
    tokenizer = _tokenizer()
    spans: list[Span] = []
    for start, end in clauses(text):
        for at in range(start, end, _PIECE):
            for word in tokenizer.cut(text[at : min(at + _PIECE, end)]):
                spans.append((at, at + len(word)))
                at += len(word)  # noqa: PLW2901  (the position within the piece)
    return spans


def windows(text: str, *, limit: int, costs: Callable[[Sequence[str]], Sequence[int]]) -> list[Span]:
    """Spans of neighbouring clauses that cost at most `limit` together, such as tokens of a model.

    A clause that costs more by itself is cut hard; a single character is never cut. `costs` tells what each of several
    texts costs, and grows with the text. What clauses cost apart is asked at once and added up, and what they cost
    together is asked once a window: trying every clause's end cost a server more than half of what tokenizing does.
    """
    pieces = clauses(text)
    apart = list(costs([text[start:end] for start, end in pieces]))

    def cost(piece: str) -> int:
        return costs([piece])[0]

    spans: list[Span] = []
    first = 0
    while first < len(pieces):
        start, end = pieces[first]
        if apart[first] > limit and end - start > 1:
            cut = _longest(text, start, end, limit=limit, cost=cost)
            spans.append((start, cut))
            pieces[first], apart[first] = (cut, end), cost(text[cut:end])
            continue
        spent, after = apart[first], first + 1
        while after < len(pieces) and spent + apart[after] <= limit:
            spent += apart[after]
            after += 1
        while after - 1 > first and cost(text[start : pieces[after - 1][1]]) > limit:
            after -= 1
        spans.append((start, pieces[after - 1][1]))
        first = after
    return spans


def word_frequencies() -> Mapping[str, int]:
    """Every word of jieba's dictionary with its frequency."""
    # The dictionary also holds each beginning of a word, with frequency 0.
    return {word: count for word, count in _tokenizer().FREQ.items() if count}


def _longest(text: str, start: int, end: int, *, limit: int, cost: Callable[[str], int]) -> int:
    """Where the longest prefix of `text[start:end]` within the limit ends; at least one character on."""
    low, high = start + 1, end - 1
    while low < high:
        middle = (low + high + 1) // 2
        if cost(text[start:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


@cache
def _tokenizer() -> "jieba.Tokenizer":
    """A dictionary of our own: nobody's `jieba.add_word` reaches it, and none of it is read from the shared /tmp."""
    import logging
    import warnings

    with warnings.catch_warnings():
        # jieba 0.42.1 has invalid escape sequences and asks for pkg_resources.
        warnings.simplefilter("ignore")
        import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer
