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


def workbook(folder: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    path = folder / "book.xlsx"
    book.save(path)
    return path


TWO = {"一月": [["text"], ["还行"]], "说明": [["只看一月"]], "二月": [["text"], ["很慢"]]}


def test_rows_beyond_the_first_sheet_are_told_not_dropped(tmp_path: Path) -> None:
    path = workbook(tmp_path, TWO)
    with pytest.raises(DataError) as caught:
        XlsxSource(path, ReadLimits())
    assert (caught.value.code, caught.value.message) == (
        "several_sheets",
        f"{path} has rows beyond its first sheet '一月', in '二月'; "
        "name the sheet to read with --sheet, or save it as a file of its own",
    )


def test_a_named_sheet_is_read_and_a_note_is_no_row(tmp_path: Path) -> None:
    path = workbook(tmp_path, TWO)
    assert list(XlsxSource(path, ReadLimits(), sheet="二月").rows()) == [{"text": "很慢"}]
    with pytest.raises(DataError) as caught:
        XlsxSource(path, ReadLimits(), sheet="三月")
    assert (caught.value.code, caught.value.message) == (
        "sheet_missing",
        f"{path} has no sheet '三月'; its sheets are: '一月', '说明', '二月'",
    )
    path = workbook(tmp_path, {name: rows for name, rows in TWO.items() if name != "二月"})
    assert list(XlsxSource(path, ReadLimits()).rows()) == [{"text": "还行"}]
