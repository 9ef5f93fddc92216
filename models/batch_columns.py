"""Columns of a scored file: those that the input brings along, then those that scoring adds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.errors import DataError, UsageError
from pipeline.readers import ReadLimits, RowFile
from pipeline.rows import Row
from pipeline.writers import Column


class OutputColumns:
    """Grows while the input is read, because any row of a jsonl file may have a column that no row before it had.

    `nested`: the output is jsonl, which takes every row as it is, so that its columns need not be known beforehand.
    """

    def __init__(self, file: RowFile, added: Sequence[Column], *, prefix: str, overwrite: bool, nested: bool) -> None:
        self.nested = nested
        self._path = file.path
        self.prefix = prefix
        self._overwrite = overwrite
        self._added = [replace(column, name=prefix + column.name) for column in added]
        self._taken = {column.name for column in self._added}
        self._kept: dict[str, None] = {}
        self._add(file.column_names)

    def see(self, rows: Sequence[Row]) -> None:
        """Take note of the rows' columns.

        Raises UsageError `columns_clash` for one that scoring writes, DataError `limit_exceeded` for too many.
        """
        if self.nested:
            self._refuse_clash(dict.fromkeys(name for row in rows for name in row if name in self._taken))
            return
        new: dict[str, None] = {}
        for row in rows:
            if not row.keys() <= self._kept.keys():
                new |= dict.fromkeys(name for name in row if name not in self._kept and not name.startswith("\0"))
        self._add(list(new))

    def columns(self) -> list[Column]:
        return [*(Column(name) for name in self._kept), *self._added]

    def _add(self, names: Sequence[str]) -> None:
        self._refuse_clash(dict.fromkeys(name for name in names if name in self._taken))
        self._kept |= dict.fromkeys(name for name in names if name not in self._taken)
        most = ReadLimits().max_columns
        if len(self._kept) > most:
            message = f"{self._path} has over {most:,} columns; name a .jsonl file to write to, which holds any number"
            raise DataError("limit_exceeded", message)

    def _refuse_clash(self, clash: Mapping[str, None]) -> None:
        if clash and not self._overwrite:
            raise UsageError(
                "columns_clash",
                f"{self._path} has columns that scoring writes: {', '.join(clash)}; give --prefix pred_ to keep both, "
                "or --overwrite to replace them",
            )
