"""The items of `{"items": [...]}` out of a file, one after the other: parsed at once 64 MiB would take a gigabyte."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from serving.problems import RequestProblem
from serving.strict_json import DECODER

LONGEST_ITEM = 1 << 20
"""Characters of one item; a comment has 40,000 at the most, escaped to six times as many."""

_READ = 1 << 18  # bytes
_SPACE = " \t\n\r"
_NUMBER = ".eE+-0123456789"
_STARTS = frozenset('{["-0123456789tfn')


def json_items(path: Path) -> Iterator[Any]:
    """Yield the items, with Flaws in them (strict_json.py). Raises RequestProblem `not_json`, `invalid_batch`."""
    with path.open("rb") as file:
        window = _Window(file)
        window.expect("{")
        if window.value() != "items":
            raise _invalid()
        window.expect(":")
        window.expect("[")
        if window.peek() != "]":
            while True:
                yield window.value()
                if window.peek() != ",":
                    break
                window.expect(",")
        window.expect("]")
        if window.peek() == ",":
            raise _invalid()
        window.expect("}")
        if window.peek():
            raise _not_json()


class _Window:
    """The part of a file that is being parsed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # As strict_json.parse has it: bytes that are not UTF-8 are marked in the item that they stand in.
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape").decode
        self._text, self._at, self._ended = "", 0, False

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._more()

    def expect(self, character: str) -> None:
        """Go past it. Raises RequestProblem."""
        found = self.peek()
        if found != character:
            # Where a value is expected another one may be JSON, only not what is asked for.
            raise _invalid() if character in "{[" and found and found in _STARTS else _not_json()
        self._at += 1

    def value(self) -> Any:
        """The next JSON value. Raises RequestProblem."""
        if not self.peek():
            raise _not_json()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise _not_json() from None
            except json.JSONDecodeError:
                end = None
            except ValueError:
                raise _not_json() from None
            # What ends where the window ends may go on: 12 of 123, or 1 of 1.5 where the window ends in "1.".
            if end is not None and (self._ended or self._text[end : end + 3].strip(_NUMBER)):
                self._at = end
                return value
            if self._ended or len(self._text) - self._at > LONGEST_ITEM:
                raise _not_json()
            self._more()

    def _more(self) -> None:
        # Doubled, so that a long value is not parsed again and again.
        data = self._file.read(max(_READ, len(self._text) - self._at))
        self._ended = not data
        self._text = self._text[self._at :] + self._decode(data, self._ended)
        self._at = 0


def _invalid() -> RequestProblem:
    return RequestProblem("invalid_batch", "expected an object with 'items' alone, a list of comments")


def _not_json() -> RequestProblem:
    detail = f"expected one whole JSON document, each item of at most {LONGEST_ITEM:,} characters; found something else"
    return RequestProblem("not_json", detail)
