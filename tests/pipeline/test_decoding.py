from pathlib import Path

import pytest

from pipeline.decoding import TextEncoding, decode, detect_encoding, inspect_encoding
from pipeline.errors import DataError

TEXT = "编号,评论\n1,快递箱都压扁了\n2,客服态度不错\n"


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_each_encoding_is_found_and_gives_the_text_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(TEXT.encode(name))
    assert decode(TEXT.encode(name)) == (TEXT, name)
    assert detect_encoding(path) == name
    assert path.read_text(encoding=detect_encoding(path)) == TEXT


def test_big_endian_utf16_is_found_by_its_mark() -> None:
    assert decode("\ufeff差评".encode("utf-16-be")) == ("差评", "utf-16")


def test_one_torn_line_does_not_turn_a_utf8_file_into_gb18030(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl"
    lines = [f"第{i}条评论".encode() for i in range(9)]
    # E8 A7 alone is cut off; with what follows it would be a valid pair of GB18030.
    path.write_bytes(b"\n".join([*lines, b"\xe8\xa7", *lines]))
    assert inspect_encoding(path) == TextEncoding("utf-8", damaged=True)


def test_a_character_on_the_border_of_two_chunks_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "border.csv"
    path.write_bytes(b"a" * ((1 << 20) - 1) + "好".encode())
    assert inspect_encoding(path) == TextEncoding("utf-8")


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.csv"
    path.write_bytes(b"\xff\xff\xff\x80\n" * 10)
    advice = "is neither valid UTF-8 nor GB18030 text; save it as UTF-8, or give a parquet or xlsx file"
    with pytest.raises(DataError) as caught:
        detect_encoding(path)
    assert (caught.value.code, caught.value.message) == ("undecodable", f"{path} {advice}")
    with pytest.raises(DataError) as caught:
        decode(b"\xff\xff\xff\x80")
    assert caught.value.message == f"the input {advice}"


def test_a_mark_that_lies_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        decode(b"\xff\xfe\x00")
    assert (
        caught.value.message
        == "the input starts with the mark of utf-16 but is not valid utf-16; save it again as UTF-8"
    )


def test_a_line_without_end_is_refused_early(tmp_path: Path) -> None:
    path = tmp_path / "endless.csv"
    path.write_bytes(b"text\n" + b"a" * 3_000_000)
    assert inspect_encoding(path, max_line_bytes=3_000_000) == TextEncoding("utf-8")
    with pytest.raises(DataError) as caught:
        inspect_encoding(path, max_line_bytes=2_000_000)
    assert caught.value.message == f"{path} has a line of over 2,000,000 bytes; it is not text in lines"
