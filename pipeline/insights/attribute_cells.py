"""Cells of the columns that comments are compared by, such as shop or product, collected row by row."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from pipeline.errors import DataError
from pipeline.insights.series import DERIVED
from pipeline.insights.table import Categories
from pipeline.privacy import mask

METADATA = "metadata"
"""Column of an export whose keys are attributes: a JSON object, as text in csv and parquet."""

_LONGEST_VALUE = 64  # characters of a metadata's value; what is longer is no attribute
_MOST_VALUES = 2000
_ROWS_A_VALUE = 3  # a column with more distinct values than a third of its rows is an identifier
_WHOLE = re.compile(r"-?\d+\.0")  # an integer, as pandas writes it beside empty cells


def metadata_of(cell: Any) -> dict[str, Any] | None:
    """Key -> value, those that may be an attribute; None where the cell is no object. Raises ValueError."""
    if isinstance(cell, str) and cell.lstrip().startswith("{"):
        cell = orjson.loads(cell)  # its JSONDecodeError is a ValueError
    if not isinstance(cell, Mapping):
        return None
    scalars = {str(key): value for key, value in cell.items() if isinstance(value, str | int | float)}
    return {key: value for key, value in scalars.items() if len(str(value)) <= _LONGEST_VALUE}


class AttributeCells:
    """`wanted`: the only columns that count; None: all that look like attributes."""

    def __init__(self, wanted: Sequence[str] | None) -> None:
        self._wanted = wanted
        self._cells: dict[str, dict[int, str]] = {}
        self._fractions: dict[str, float] = {}  # column -> one of its numbers that is no integer

    def add(self, name: str, cell: Any, at: int) -> None:
        """The cell of row `at`."""
        if (self._wanted is not None and name not in self._wanted) or not isinstance(cell, str | int | float):
            return
        if isinstance(cell, float):
            if not np.isfinite(cell):
                return
            if not cell.is_integer():
                self._fractions.setdefault(name, cell)
                return
            cell = int(cell)
        if cell != "":
            self._cells.setdefault(name, {})[at] = str(cell).strip()

    def columns(self, count: int) -> dict[str, Categories]:
        """Of `count` rows. Raises DataError `column_missing`, `column_invalid` for one that was wanted."""
        for name in self._wanted or ():
            self._require(name)
        found = {}
        for name, cells in self._cells.items():
            distinct = set(cells.values())
            most = min(_MOST_VALUES, max(2, len(cells) // _ROWS_A_VALUE))
            usual = self._wanted is None and name not in DERIVED
            if name in self._fractions or (usual and not 2 <= len(distinct) <= most):
                continue
            whole = all(_WHOLE.fullmatch(value) for value in distinct)
            shown = {value: mask(value.removesuffix(".0") if whole else value).text for value in distinct}
            found[name] = Categories.of(shown[cells[i]] if i in cells else None for i in range(count))
        return found

    def _require(self, name: str) -> None:
        if name in self._fractions:
            raise DataError(
                "column_invalid",
                f"column {name!r} holds numbers such as {self._fractions[name]:g}, and an attribute is text or whole "
                "numbers; write its values as text, or as classes such as 'under 5 km'",
            )
        if name not in self._cells:
            others = ", ".join(self._cells) or "none"
            raise DataError("column_missing", f"no row has the attribute {name!r}; found: {others}")
