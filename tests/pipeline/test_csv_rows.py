from pathlib import Path

import pytest

from pipeline.csv_rows import CsvSource
from pipeline.errors import DataError
from pipeline.rows import BAD_ROW, ReadLimits, Row

SHORT = "1 cells where the header has 2; put cells that hold a delimiter into double quotes"


def source(folder: Path, content: str | bytes, *, name: str = "file.csv") -> CsvSource:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return CsvSource(path, ReadLimits())


def rows(folder: Path, content: str | bytes, *, name: str = "file.csv") -> list[Row]:
    return list(source(folder, content, name=name).rows())


def test_quoted_cells_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    assert rows(tmp_path, 'id,text\r\n1,"慢,\r\n很""慢"""\r\n') == [{"id": "1", "text": '慢,\r\n很"慢"'}]


def test_delimiter_comes_from_the_header_when_it_has_no_comma(tmp_path: Path) -> None:
    assert rows(tmp_path, "id;text\n1;好,很好\n") == [{"id": "1", "text": "好,很好"}]
    assert rows(tmp_path, "id\ttext\n1\t好,很好\n") == [{"id": "1", "text": "好,很好"}]
    assert rows(tmp_path, "id,x\ttext\n1,2\t好\n", name="file.tsv") == [{"id,x": "1,2", "text": "好"}]


def test_rows_of_another_width_are_bad_and_keep_what_was_read(tmp_path: Path) -> None:
    found = rows(tmp_path, "id,text\n1,还行,就是贵\n2\n3,好\n")
    wide = "3 cells where the header has 2; put cells that hold a delimiter into double quotes"
    assert found == [{"id": "1", "text": "还行", BAD_ROW: wide}, {"id": "2", BAD_ROW: SHORT}, {"id": "3", "text": "好"}]


def test_an_open_quote_spoils_its_own_row_only(tmp_path: Path) -> None:
    found = rows(tmp_path, 'id,text\n1,"忘了\n2,好\n3,"也好"\n')
    assert found[0] == {BAD_ROW: "not valid csv: text after a closing quote; double the quotes inside a quoted cell"}
    assert found[1:] == [{"id": "2", "text": "好"}, {"id": "3", "text": "也好"}]
    last = rows(tmp_path, 'id,text\n1,好\n2,"忘了\n')
    assert last == [{"id": "1", "text": "好"}, {BAD_ROW: "not valid csv: a quote is opened and not closed"}]


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    assert rows(tmp_path, "\n\nid,text\n\n1,好\n\n") == [{"id": "1", "text": "好"}]


def test_gb18030_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    for encoding in ("gb18030", "utf-8-sig", "utf-16"):
        assert rows(tmp_path, "编号,评论\n1,手感很好\n".encode(encoding)) == [{"编号": "1", "评论": "手感很好"}]


def test_a_line_of_broken_bytes_is_a_bad_row(tmp_path: Path) -> None:
    found = rows(tmp_path, b"id,text\n1,\xe5\xa5\n" + "2,好\n3,差\n".encode())
    assert found == [
        {"id": "1", BAD_ROW: "bytes that are not valid UTF-8"},
        {"id": "2", "text": "好"},
        {"id": "3", "text": "差"},
    ]


def test_unnamed_columns_get_a_number(tmp_path: Path) -> None:
    assert source(tmp_path, ",text,\n0,好,x\n").columns() == ["column_1", "text", "column_3"]


def test_headers_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    for content, reason in (
        ("", "it is empty; the first line must name the columns"),
        ("text,text\n", "its header names column 'text' twice"),
        (b"id,\xe5\xa5\n1,\xe5\xa5\xbd\n2,\xe5\xa5\xbd\n", "its header holds bytes that are not valid UTF-8"),
        ('"text\n', "its header line is no valid csv (unexpected end of data)"),
    ):
        with pytest.raises(DataError) as caught:
            source(tmp_path, content).columns()
        assert caught.value.message == f"{tmp_path / 'file.csv'} cannot be read: {reason}"
