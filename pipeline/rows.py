"""What every reader yields: rows as dicts, in batches bounded by rows and by bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from pipeline.errors import DataError

Row: TypeAlias = dict[str, Any]
"""Column name -> cell. A row that could not be read holds BAD_ROW -> message, and what else could be read of it."""

BAD_ROW: Final = "\0bad_row"
"""Key of the message in a row that could not be read. A file's column can have this name only on purpose."""

TOO_DEEP: Final = 1 << 50
_MOST_LEVELS = 64


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a file may ask of us. A cell over its limit is a bad row; a file over one is refused."""

    max_rows: int = 20_000_000
    max_columns: int = 4096
    max_cell_chars: int = 1_000_000
    max_batch_bytes: int = 64 << 20
    batch_rows: int = 1024

    @property
    def max_line_chars(self) -> int:
        """A longer line stops the file: it is not text in lines."""
        return 8 * self.max_cell_chars


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Consecutive rows of a file. `first_row` counts data rows from 1; a header and blank lines do not count."""

    first_row: int
    rows: list[Row]


def batches(rows: Iterable[Row], *, path: Path, limits: ReadLimits) -> Iterator[RowBatch]:
    """Group rows into batches, turning a row with an oversized cell into a bad row.

    Raises DataError `limit_exceeded` after `max_rows`.
    """
    first, size, batch = 1, 0, list[Row]()
    for row in rows:
        if first + len(batch) > limits.max_rows:
            raise limit_exceeded(path, f"more than {limits.max_rows:,} rows", "split it")
        checked, row_size = _checked(row, limits)
        if batch and (len(batch) >= limits.batch_rows or size + row_size > limits.max_batch_bytes):
            yield RowBatch(first, batch)
            first, size, batch = first + len(batch), 0, []
        batch.append(checked)
        size += row_size
    if batch:
        yield RowBatch(first, batch)


def bad_row(message: str, row: Row | None = None) -> Row:
    return {**(row or {}), BAD_ROW: message}


def limit_exceeded(path: Path, found: str, advice: str) -> DataError:
    return DataError("limit_exceeded", f"{path} has {found}; {advice}")


def unreadable(path: Path, reason: str) -> DataError:
    return DataError("unreadable", f"{path} cannot be read: {reason}")


def _checked(row: Row, limits: ReadLimits) -> tuple[Row, int]:
    """The row and its size in bytes, about: nested values count with what they hold."""
    size = 0
    for name, cell in row.items():
        cell_size = len(cell) if isinstance(cell, str) else size_of(cell)
        if cell_size > limits.max_cell_chars:
            shown = f"a cell of {cell_size:,} characters in column {name[:40]!r} (limit {limits.max_cell_chars:,})"
            if cell_size >= TOO_DEEP:
                shown = f"a cell nested over {_MOST_LEVELS} levels deep in column {name[:40]!r}"
            kept = {key: value for key, value in row.items() if size_of(value) <= limits.max_cell_chars}
            return bad_row(shown, kept), sum(size_of(value) for value in kept.values())
        size += cell_size
    # A character takes up to four bytes in memory.
    return row, 4 * size


def size_of(cell: Any, *, depth: int = 0) -> int:
    """Characters or bytes that a cell holds, about; whatever is neither text nor nested counts 8.

    From TOO_DEEP on for a cell that is nested deeper than any real one: Python's own json gives up on those.
    """
    if isinstance(cell, str | bytes):
        return len(cell)
    if isinstance(cell, dict | list | tuple) and depth >= _MOST_LEVELS:
        return TOO_DEEP
    if isinstance(cell, dict):
        return sum(len(str(key)) + size_of(value, depth=depth + 1) for key, value in cell.items())
    if isinstance(cell, list | tuple):
        return sum(size_of(value, depth=depth + 1) for value in cell)
    return int(getattr(cell, "nbytes", 8))
