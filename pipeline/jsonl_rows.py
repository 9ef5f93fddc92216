"""Rows of jsonl files: one JSON object a line, RFC 8259 strictly (no NaN, no lone surrogate)."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson

from pipeline.decoding import inspect_encoding
from pipeline.rows import ReadLimits, Row, bad_row
from pipeline.text_lines import is_torn, lines

_SAMPLE_BYTES = 1 << 20


class JsonlSource:
    """One jsonl file. Rows may have different keys."""

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self._path = path
        self._limits = limits
        self._encoding = inspect_encoding(path, max_line_bytes=4 * limits.max_line_chars)

    def columns(self) -> list[str]:
        """Keys in order of appearance, of the first batch only."""
        names: dict[str, None] = {}
        for row in islice(self.rows(), self._limits.batch_rows):
            names |= dict.fromkeys(row)
        return [name for name in names if not name.startswith("\0")]

    def rows(self) -> Iterator[Row]:
        encoding = self._encoding
        # Only \n ends a line here: JSON text may hold a raw U+2028, and a \r before it is white space.
        with self._path.open(encoding=encoding.name, errors=encoding.errors, newline="\n") as file:
            for line in lines(file, path=self._path, limit=self._limits.max_line_chars):
                if line.isspace():
                    continue
                if encoding.damaged and is_torn(line):
                    yield bad_row("bytes that are not valid UTF-8")
                else:
                    yield self._row(line)

    def count(self) -> int | None:
        """Estimated from the mean line length at the start of the file."""
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            sample = file.read(_SAMPLE_BYTES)
        found = sample.count(b"\n")
        if len(sample) == size:
            return found + (bool(sample) and not sample.endswith(b"\n"))
        return size * found // len(sample) if found else None

    def _row(self, line: str) -> Row:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return bad_row(f"not valid JSON: {error.msg} at character {error.pos + 1}")
        if not isinstance(value, dict):
            return bad_row(f"expected a JSON object, found {_kind(value)}")
        if len(value) > self._limits.max_columns:
            return bad_row(f"{len(value):,} keys in one object (limit {self._limits.max_columns:,})")
        return value


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
