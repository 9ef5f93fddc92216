from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from pipeline.errors import DataError
from pipeline.rows import BAD_ROW, ReadLimits
from pipeline.xlsx_rows import XlsxSource


def written(folder: Path, cells: list[list[Any]]) -> XlsxSource:
    book = openpyxl.Workbook()
    for row in cells:
        book.active.append(row)
    path = folder / "book.xlsx"
    book.save(path)
    return XlsxSource(path, ReadLimits())


def test_cells_keep_their_types_and_blank_rows_are_none(tmp_path: Path) -> None:
    when = datetime(2024, 5, 1, 8, 30)
    source = written(tmp_path, [["id", "text", "at", None], [7, "好", when], [None, None], ["b", 666, None]])
    assert list(source.rows()) == [{"id": 7, "text": "好", "at": when}, {"id": "b", "text": 666, "at": None}]
    assert source.columns() == ["id", "text", "at"]


def test_a_cell_beyond_the_header_is_a_bad_row(tmp_path: Path) -> None:
    (row,) = written(tmp_path, [["id", "text"], ["a", "还行", "就是贵"]]).rows()
    assert row == {"id": "a", "text": "还行", BAD_ROW: "a cell beyond the last named column (2)"}


def test_headers_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    for cells, reason in (
        ([[None], ["好"]], "its first row is empty; it must name the columns"),
        ([["text", "text"]], "its first row names column 'text' twice"),
    ):
        with pytest.raises(DataError) as caught:
            written(tmp_path, cells).columns()
        assert caught.value.message == f"{tmp_path / 'book.xlsx'} cannot be read: {reason}"
