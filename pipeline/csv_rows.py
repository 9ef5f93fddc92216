"""Rows of csv and tsv files, strictly: a line with too many or too few cells is told, not guessed at."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pipeline.decoding import inspect_encoding
from pipeline.rows import ReadLimits, Row, bad_row, limit_exceeded, unreadable
from pipeline.text_lines import is_torn, lines

_SAMPLE_BYTES = 1 << 20


class CsvSource:
    """One csv or tsv file with a header line."""

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self._path = path
        self._limits = limits
        self._encoding = inspect_encoding(path, max_line_bytes=4 * limits.max_line_chars)
        # The module's own limit of 131,072 characters a cell is process-wide; it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), limits.max_cell_chars))

    def columns(self) -> list[str]:
        with self._open() as file:
            return self._header(self._lines(file))[0]

    def rows(self) -> Iterator[Row]:
        with self._open() as file:
            source = self._lines(file)
            names, delimiter = self._header(source)
            yield from _parse(source, names=names, delimiter=delimiter, torn=self._encoding.damaged)

    def count(self) -> int | None:
        """Estimated from the mean line length at the start of the file."""
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            sample = file.read(_SAMPLE_BYTES)
        found = sample.count(b"\n")
        if len(sample) == size:
            return max(0, found - 1 + (not sample.endswith(b"\n")))
        return size * found // len(sample) if found else None

    def _open(self) -> TextIO:
        return self._path.open(encoding=self._encoding.name, errors=self._encoding.errors, newline="")

    def _lines(self, file: TextIO) -> "_Lines":
        return _Lines(lines(file, path=self._path, limit=self._limits.max_line_chars))

    def _header(self, source: "_Lines") -> tuple[list[str], str]:
        """Column names and delimiter; unnamed columns (pandas writes its index so) become `column_N`."""
        first = next((line for line in source if line.strip()), None)
        if first is None:
            raise unreadable(self._path, "it is empty; the first line must name the columns")
        delimiter = _delimiter(first, self._path)
        source.put_back([first])
        try:
            cells = next(csv.reader(source, delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise unreadable(self._path, f"its header line is no valid csv ({error})") from None
        if len(cells) > self._limits.max_columns:
            raise limit_exceeded(
                self._path, f"{len(cells):,} columns", f"at most {self._limits.max_columns:,} are read"
            )
        names = [cell.strip() or f"column_{i + 1}" for i, cell in enumerate(cells)]
        if any(is_torn(name) for name in names):
            raise unreadable(self._path, f"its header holds bytes that are not valid {self._encoding.name.upper()}")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise unreadable(self._path, f"its header names column {twice[:40]!r} twice")
        return names, delimiter


class _Lines:
    """An iterator of lines that remembers those of the present row, so that they can be read again."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self._waiting: deque[str] = deque()
        self.row: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._source)
        self.row.append(line)
        return line

    def put_back(self, taken: list[str]) -> None:
        self._waiting.extendleft(reversed(taken))
        self.row = []


def _parse(source: _Lines, *, names: list[str], delimiter: str, torn: bool) -> Iterator[Row]:
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.row = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote that never closes swallows the lines after it: only its own line is bad, the rest is read again.
            source.put_back(source.row[1:])
            reader = csv.reader(source, delimiter=delimiter, strict=True)
            yield bad_row(f"not valid csv: {_reason(error)}")
            continue
        if not cells:
            continue
        row = dict(zip(names, cells, strict=False))
        if len(cells) != len(names):
            advice = "put cells that hold a delimiter into double quotes"
            yield bad_row(f"{len(cells)} cells where the header has {len(names)}; {advice}", row)
        elif torn and any(is_torn(line) for line in source.row):
            yield bad_row("bytes that are not valid UTF-8", {k: v for k, v in row.items() if not is_torn(v)})
        else:
            yield row


def _reason(error: csv.Error) -> str:
    text = str(error)
    if "expected after" in text:
        return "text after a closing quote; double the quotes inside a quoted cell"
    return "a quote is opened and not closed" if "end of data" in text or "limit" in text else text


def _delimiter(header: str, path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    if "," in header:
        return ","
    return next((mark for mark in "\t;" if mark in header), ",")
