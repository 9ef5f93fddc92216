"""models/score_arguments.py: file or comment?"""

import io
from pathlib import Path

import pytest

from models.score_arguments import files_or_texts
from pipeline.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv", "好评"):
        (tmp_path / name).write_text("text\n很好\n", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "comment",
    [
        "快递三天没到",
        "怎么退货?",
        "开心[微笑]",
        "v1.2 比 v1.1 卡",
        "",
        "  ",
        "好" * 5000,
        "空\0字",
        "-5分",
        "...",
        "3:5",
    ],
)
def test_comments(folder: Path, comment: str) -> None:
    assert files_or_texts([comment], as_text=False) == ([], [comment])


@pytest.mark.parametrize(
    ("arg", "names"),
    [
        ("a.csv", ["a.csv"]),
        ("*.csv", ["a.csv", "b.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("好评", ["好评"]),
        ("./a.csv", ["a.csv"]),
    ],
)
def test_files(folder: Path, arg: str, names: list[str]) -> None:
    assert files_or_texts([arg], as_text=False) == ([Path(name) for name in names], [])


def test_a_file_named_twice_is_scored_once(folder: Path) -> None:
    assert files_or_texts(["a.csv", "*.csv"], as_text=False)[0] == [Path("a.csv"), Path("b.csv")]


@pytest.mark.parametrize(
    ("arg", "what"),
    [
        ("none.csv", "there is no file none.csv"),
        ("none.XLSX", "there is no file none.XLSX"),
        ("none-20240501.csv", "there is no file none-20240501.csv"),
        ("parts/none.csv", "there is no file parts/none.csv"),
        ("*.parquet", "no file fits the pattern *.parquet"),
        # What may be a comment stays out of the message.
        ("价格/质量", "ARG 2 (5 characters, with /) is taken for a file and there is none"),
        ("太棒了***", "ARG 2 (6 characters, with *) is taken for a file and there is none"),
        ("身份证见附件.xlsx", "ARG 2 (11 characters, with .xlsx) is taken for a file and there is none"),
        ("11010519491231002X/1.csv", "ARG 2 (24 characters, with /) is taken for a file and there is none"),
        ("call 13800138000.csv", "ARG 2 (20 characters, with .csv) is taken for a file and there is none"),
        ("good and/or bad", "ARG 2 (15 characters, with /) is taken for a file and there is none"),
    ],
)
def test_what_looks_like_a_file_but_is_none(folder: Path, arg: str, what: str) -> None:
    with pytest.raises(UsageError) as raised:
        files_or_texts(["a.csv", arg], as_text=False)
    assert raised.value.message == f"{what}; to score it as a comment give --text"


@pytest.mark.parametrize("arg", ["a.csv", "价格/质量", "*", "sub", "-", ""])
def test_text_makes_everything_a_comment(folder: Path, arg: str) -> None:
    assert files_or_texts([arg], as_text=True) == ([], [arg])


def test_a_folder_without_files_to_read(folder: Path) -> None:
    (folder / "sub" / "readme.md").write_text("# sub", encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        files_or_texts(["sub/"], as_text=False)
    known = ".csv, .tsv, .jsonl, .ndjson, .parquet, .xlsx"
    assert raised.value.message == f"sub/ is a folder without files of {known}; name another"


def test_a_folder_stands_for_all_files_in_it_that_can_be_read(folder: Path) -> None:
    for name in ("b.CSV", "a/one.jsonl", "readme.md", "_old/c.csv", ".hidden.csv"):
        (folder / "sub" / name).parent.mkdir(exist_ok=True)
        (folder / "sub" / name).touch()
    assert files_or_texts(["sub"], as_text=False)[0] == [Path("sub/a/one.jsonl"), Path("sub/b.CSV")]


def test_files_and_comments_do_not_mix(folder: Path) -> None:
    with pytest.raises(UsageError) as raised:
        files_or_texts(["a.csv", "很好"], as_text=False)
    assert raised.value.code == "mixed_arguments"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_standard_input_has_a_comment_a_line(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    lines = io.TextIOWrapper(io.BytesIO("很好\n\n退款一直不到账\n".encode(encoding)))
    monkeypatch.setattr("sys.stdin", lines)
    assert files_or_texts(["-"], as_text=False) == ([], ["很好", "退款一直不到账"])


def test_standard_input_without_a_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n\n")))
    with pytest.raises(UsageError) as raised:
        files_or_texts(["-"], as_text=False)
    assert raised.value.message == "standard input held no comment; give one in each line"
