from pathlib import Path

from pipeline.jsonl_rows import JsonlSource
from pipeline.rows import BAD_ROW, ReadLimits


def source(folder: Path, content: str | bytes, **limits: int) -> JsonlSource:
    path = folder / "file.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return JsonlSource(path, ReadLimits(**limits))


def test_bad_lines_are_told_one_by_one(tmp_path: Path) -> None:
    lines = [
        '{"text": "好"}',
        '{"text": "差"',
        "[1]",
        "7",
        "null",
        '{"text": "\\ud800"}',
        '{"p": NaN}',
        "",
        '{"text": "行"}',
    ]
    found = list(source(tmp_path, "\n".join(lines)).rows())
    assert [row.get("text") for row in found] == ["好", None, None, None, None, None, None, "行"]
    messages = [row[BAD_ROW] for row in found if BAD_ROW in row]
    assert messages[0].startswith("not valid JSON: ")
    assert messages[1:4] == [
        "expected a JSON object, found an array",
        "expected a JSON object, found a number",
        "expected a JSON object, found null",
    ]
    assert all(message.startswith("not valid JSON: ") for message in messages[4:])
    assert "差" not in "".join(messages)


def test_separators_of_other_alphabets_do_not_end_a_line(tmp_path: Path) -> None:
    text = "一行\u2028还是这一行\x85"
    assert list(source(tmp_path, f'{{"text": "{text}"}}\r\n').rows()) == [{"text": text}]


def test_columns_are_the_keys_in_order_of_appearance(tmp_path: Path) -> None:
    assert source(tmp_path, '{"b": 1}\n{"a": 1, "b": 2}\nx\n').columns() == ["b", "a"]


def test_broken_bytes_spoil_their_line_only(tmp_path: Path) -> None:
    found = list(source(tmp_path, '{"text": "好"}\n{"text": "中"}\n'.encode() + b'{"text": "\xe5\xa5"}\n').rows())
    assert found == [{"text": "好"}, {"text": "中"}, {BAD_ROW: "bytes that are not valid UTF-8"}]


def test_an_object_of_too_many_keys_is_a_bad_row(tmp_path: Path) -> None:
    (row,) = source(tmp_path, '{"a": 1, "b": 2, "c": 3}', max_columns=2).rows()
    assert row == {BAD_ROW: "3 keys in one object (limit 2)"}
