import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from typer.testing import CliRunner

from pipeline.cli import data_app
from pipeline.errors import ConfigError, DataError, FeedbackError, UsageError
from pipeline.feedback import Example
from pipeline.split import to_row


@pytest.fixture
def file(tmp_path: Path, examples: list[Example]) -> Path:
    path = tmp_path / "comments.jsonl"
    lines = [json.dumps(to_row(example), ensure_ascii=False) for example in examples]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(data_app, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def refusal(kind: type[FeedbackError], *args: object) -> str:
    with pytest.raises(kind) as caught:
        CliRunner().invoke(data_app, [str(arg) for arg in args], catch_exceptions=False)
    return caught.value.message


def test_check_prints_tables(file: Path) -> None:
    printed = run("check", file)
    assert "sentiment: 24 of 24 rows labelled" in printed
    assert "near-duplicates" in printed


def test_check_exits_with_one_when_rows_are_unusable(file: Path) -> None:
    with file.open("a", encoding="utf-8") as lines:
        lines.write('\n{"text": "行", "sentiment": "meh"}\n')
    report: dict[str, Any] = json.loads(run("check", file, "--json", code=1))
    assert report["problems"] == [{"row": 25, "task": "sentiment", "message": "sentiment has no label 'meh'"}]
    assert "has no label 'meh'" in run("check", file, code=1)


def test_split_writes_parts_and_prints_the_manifest(file: Path, tmp_path: Path) -> None:
    manifest = json.loads(run("split", file, "-o", tmp_path / "a", "--seed", 5, "--stratify", "urgency", "--json"))
    assert manifest["stratify"] == ["urgency"]
    assert manifest["inputs"][0]["name"] == "comments.jsonl"
    assert json.loads((tmp_path / "a" / "manifest.json").read_text(encoding="utf-8")) == manifest
    assert "train.jsonl" in run("split", file, "-o", tmp_path / "b", "--fractions", "0.5,0.25,0.25")


def test_stats_counts_by_another_column(file: Path) -> None:
    found = json.loads(run("stats", file, "--label-column", "sentiment=sentiment", "--json"))
    assert found["labels"]["sentiment"] == {"negative": 11, "neutral": 5, "positive": 8}
    assert "urgency: 24 of 24 rows labelled" in run("stats", file)


def test_rows_of_one_order_stay_on_one_side(file: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps({**row, "order": i % 4}, ensure_ascii=False) for i, row in enumerate(rows)]
    file.write_text("\n".join(lines), encoding="utf-8")
    run("split", file, "-o", tmp_path / "parts", "--fractions", "0.5,0.25,0.25", "--group-column", "order")
    sides: dict[str, set[str]] = {}
    for part in (tmp_path / "parts").glob("*.jsonl"):
        for line in part.read_text(encoding="utf-8").splitlines():
            sides.setdefault(json.loads(line)["group"], set()).add(part.name)
    assert sorted(sides) == ["0", "1", "2", "3"]
    assert all(len(names) == 1 for names in sides.values())


def test_a_sheet_is_chosen(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name, texts in (("一月", ["很慢", "很好"]), ("二月", ["太贵"])):
        sheet = book.create_sheet(name)
        for text in ("text", *texts):
            sheet.append([text])
    book.save(tmp_path / "book.xlsx")
    assert "'一月', '二月'; name the sheet" in refusal(DataError, "stats", tmp_path / "book.xlsx")
    for verb in ("stats", "check"):
        found = json.loads(run(verb, tmp_path / "book.xlsx", "--sheet", "二月", "--json"))
        assert found.get("stats", found)["rows"] == 1
    run("split", tmp_path / "book.xlsx", "--sheet", "一月", "-o", tmp_path / "parts", "--json")


def test_mistakes_of_use_are_told(file: Path, tmp_path: Path) -> None:
    assert refusal(UsageError, "stats", file, "--label-column", "sentiment") == (
        "--label-column is TASK=COLUMN, such as sentiment=情感; found 'sentiment'"
    )
    assert refusal(UsageError, "split", file, "-o", tmp_path / "a", "--fractions", "80,20") == (
        "--fractions is three numbers such as 0.8,0.1,0.1; found '80,20'"
    )
    assert refusal(UsageError, "split", file, "-o", tmp_path) == (
        f"{tmp_path} exists already; name a new folder with --output"
    )
    assert refusal(ConfigError, "split", file, "-o", tmp_path / "a", "--fractions", "8,1,1").endswith("found 8, 1, 1")


def test_every_help_has_an_example() -> None:
    for verb in ("check", "split", "stats"):
        assert f"fankui data {verb} reviews" in run(verb, "--help").replace("\n", " ")
