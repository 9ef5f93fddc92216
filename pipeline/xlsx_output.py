"""Rows into an xlsx workbook with one sheet, for reading in a spreadsheet."""

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.cells import Column, encodable, flat, flat_notes, guard
from pipeline.errors import DataError
from pipeline.rows import Row

_MAX_ROWS = 1_048_576
_MAX_CHARS = 32_767
_CUT = "…[cut: a cell of a workbook holds 32,767 characters]"


class XlsxSink:
    """An open workbook, written row by row."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        import openpyxl

        self._path = path
        self._names = [column.name for column in columns]
        self._notes = {column.name for column in columns if column.kind == "notes"}
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("feedback")
        self._sheet.freeze_panes = "A2"
        self._sheet.append([_cell(name) for name in self._names])
        self._count = 1

    def write(self, rows: Sequence[Row]) -> None:
        self._count += len(rows)
        if self._count > _MAX_ROWS:
            message = (
                f"a workbook holds at most {_MAX_ROWS - 1:,} rows and there are more; name a .csv or .parquet file"
            )
            raise DataError("limit_exceeded", message)
        for row in rows:
            self._sheet.append([self._cell(name, row.get(name)) for name in self._names])

    def close(self) -> None:
        self._book.save(self._path)

    def abandon(self) -> None:
        """Only the row stream is closed: saving a workbook that goes away would take minutes."""
        self._sheet.close()

    def _cell(self, name: str, value: Any) -> Any:
        return _cell(flat_notes(value) if name in self._notes else value)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        value = value.tolist()
    if isinstance(value, bool):
        return value
    cell = flat(value)
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if isinstance(cell, int) and abs(cell) >= 10**15:
        # A spreadsheet keeps 15 digits of a number; an order number has more.
        return str(cell)
    if not isinstance(cell, str):
        return cell
    return _printable(guard(encodable(cell)))


def _printable(text: str) -> str:
    """XML has no control characters; openpyxl would refuse the row."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    text = ILLEGAL_CHARACTERS_RE.sub("\ufffd", text)
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - len(_CUT)] + _CUT
