"""The words of a comment, for counting: jieba's, clause by clause, without marks, placeholders and long numbers."""

import re
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from pipeline.privacy import PLACEHOLDERS
from pipeline.segment import words as word_spans

BREAK = ""
"""Stands between two words that are no neighbours: a mark, a placeholder, a number stood there."""

_MANY = 20_000  # texts, which take longer than processes to start
_PIECE = 2000

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


def all_words(
    texts: Sequence[str], *, processes: int = 1, progress: Callable[[int], None] | None = None
) -> list[list[str]]:
    """`document_words` of all texts; a text that comes again is cut once.

    Where the texts are many, several `processes` share them; each imports the main module, which must not work then.
    """
    distinct = list(dict.fromkeys(texts))
    if processes > 1 and len(distinct) >= _MANY:
        cut = _in_processes(distinct, processes, progress)
    else:
        cut = _one_by_one(distinct, progress)
    known = dict(zip(distinct, cut, strict=True))
    if progress is not None:
        progress(len(texts))
    return [known[text] for text in texts]


def _one_by_one(texts: Sequence[str], progress: Callable[[int], None] | None) -> Iterator[list[str]]:
    for i, text in enumerate(texts, 1):
        yield document_words(text)
        if progress is not None and i % 1000 == 0:
            progress(i)


def _in_processes(texts: Sequence[str], processes: int, progress: Callable[[int], None] | None) -> Iterator[list[str]]:
    # Spawned: a forked copy of onnxruntime's threads would hang.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_leave_interrupts)
    known: dict[str, str] = {}  # every word once in memory
    done = 0
    try:
        for cut in pool.map(_cut, (texts[i : i + _PIECE] for i in range(0, len(texts), _PIECE))):
            for words in cut:
                yield [known.setdefault(word, word) for word in words]
            done += len(cut)
            if progress is not None:
                progress(done)
    finally:
        pool.shutdown(cancel_futures=True)


def _cut(texts: Sequence[str]) -> list[list[str]]:
    return [document_words(text) for text in texts]


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the parent ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
