"""Rows into csv and tsv, as RFC 4180 has it."""

import csv
from collections.abc import Sequence
from pathlib import Path

from pipeline.cells import Column, encodable, flat, flat_notes, guard
from pipeline.rows import Row

_SHORT = 32
_MOST_KNOWN = 65_536


class CsvSink:
    """An open csv file. CRLF line ends: with LF alone the csv module leaves a lone CR in a cell unquoted."""

    def __init__(self, path: Path, columns: Sequence[Column], *, delimiter: str) -> None:
        self._known: dict[str, str] = {}  # short texts, as they are written
        self._cells = [(column.name, self._note if column.kind == "notes" else self._cell) for column in columns]
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, delimiter=delimiter)
        self._writer.writerow([guard(encodable(name)) for name, _ in self._cells])

    def write(self, rows: Sequence[Row]) -> None:
        self._writer.writerows([cell(row.get(name)) for name, cell in self._cells] for row in rows)

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()

    def _cell(self, value: object) -> object:
        # Most cells are numbers or one of a few words: told apart by class first, for `flat` and `guard` cost more than
        # all else here.
        kind = value.__class__
        if kind is str:
            return self._text(value)  # type: ignore[arg-type]
        if value is None or kind is float or kind is int:
            return value
        cell = flat(value)
        return self._text(cell) if isinstance(cell, str) else cell

    def _note(self, value: object) -> object:
        return self._cell(flat_notes(value))

    def _text(self, cell: str) -> str:
        found = self._known.get(cell)
        if found is None:
            found = guard(encodable(cell))
            if len(cell) <= _SHORT and len(self._known) < _MOST_KNOWN:
                self._known[cell] = found
        return found
