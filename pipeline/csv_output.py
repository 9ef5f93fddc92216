"""Rows into csv and tsv, as RFC 4180 has it."""

import csv
from collections.abc import Sequence
from pathlib import Path

from pipeline.cells import Column, encodable, flat, guard
from pipeline.rows import Row


class CsvSink:
    """An open csv file. CRLF line ends: with LF alone the csv module leaves a lone CR in a cell unquoted."""

    def __init__(self, path: Path, columns: Sequence[Column], *, delimiter: str) -> None:
        self._names = [column.name for column in columns]
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, delimiter=delimiter)
        self._writer.writerow([guard(encodable(name)) for name in self._names])

    def write(self, rows: Sequence[Row]) -> None:
        self._writer.writerows([self._cell(row.get(name)) for name in self._names] for row in rows)

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()

    @staticmethod
    def _cell(value: object) -> object:
        cell = flat(value)
        return guard(encodable(cell)) if isinstance(cell, str) else cell
