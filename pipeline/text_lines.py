"""Lines of a text file, never more than a bounded part of it in memory."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pipeline.rows import limit_exceeded

_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


def lines(file: TextIO, *, path: Path, limit: int) -> Iterator[str]:
    """Yield lines with their ends. Raises DataError `limit_exceeded` at a line of more than `limit` characters."""
    number = 0
    while line := file.readline(limit + 1):
        number += 1
        if len(line) > limit:
            raise limit_exceeded(path, f"more than {limit:,} characters in line {number:,}", "it is not text in lines")
        yield line


def is_torn(text: str) -> bool:
    """Whether undecodable bytes were read as surrogates."""
    return _ESCAPED_BYTE.search(text) is not None
