from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError, UsageError
from pipeline.readers import column_names, count_rows, file_format, open_file, read_batches
from pipeline.writers import Column, open_writer

ROWS: list[dict[str, Any]] = [
    {"id": "a1", "text": "外卖洒了一半，\n汤全在袋子里", "stars": 1},
    {"id": "a2", "text": '店家说"下次补偿"，行吧', "stars": 3},
    {"id": "a3", "text": "Wi-Fi 很快👍", "stars": 5},
]


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "ndjson", "parquet", "xlsx", "CSV"])
def test_every_format_gives_the_rows_that_were_written(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"rows.{extension}"
    with open_writer(path, columns=[Column("id"), Column("text", "text"), Column("stars", "integer")]) as writer:
        writer.write(ROWS)
    (batch,) = read_batches(path)
    assert batch.first_row == 1
    stars = str if extension.lower() in ("csv", "tsv") else int
    assert batch.rows == [{**row, "stars": stars(row["stars"])} for row in ROWS]
    assert column_names(path) == ["id", "text", "stars"]


def test_rows_are_counted_where_that_is_cheap(tmp_path: Path) -> None:
    rows = [{"text": f"第{i}条，还行"} for i in range(7)]
    for extension in ("csv", "jsonl", "parquet"):
        path = tmp_path / f"rows.{extension}"
        with open_writer(path, columns=[Column("text", "text")]) as writer:
            writer.write(rows)
        assert count_rows(path) == 7
    large = tmp_path / "large.jsonl"
    large.write_text('{"text": "一样长的一行"}\n' * 100_000, encoding="utf-8")
    assert count_rows(large) == pytest.approx(100_000, rel=0.01)


def test_unknown_extension_names_those_known() -> None:
    with pytest.raises(DataError) as caught:
        file_format(Path("comments.doc"))
    assert caught.value.message == (
        "comments.doc has no known extension; "
        "expected one of .csv, .tsv, .jsonl, .ndjson, .parquet, .xlsx, found '.doc'"
    )


def test_an_open_file_is_read_again_without_another_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import csv_rows

    looks: list[Path] = []
    look = csv_rows.inspect_encoding
    monkeypatch.setattr(csv_rows, "inspect_encoding", lambda path, **more: looks.append(path) or look(path, **more))
    path = tmp_path / "rows.csv"
    path.write_text("text\n很慢\n", encoding="utf-8")
    file = open_file(path)
    assert open_file(file) is file
    assert (file.column_names, file.count()) == (["text"], 1)
    assert [batch.rows for _ in range(2) for batch in file.batches()] == [[{"text": "很慢"}]] * 2
    assert looks == [path]


def test_a_file_that_changes_its_encoding_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text\n很慢\n", encoding="utf-8")
    file = open_file(path)
    path.write_bytes("text\n很慢\n".encode("gb18030"))
    with pytest.raises(DataError) as caught:
        list(file.batches())
    assert caught.value.message == f"{path} cannot be read: it changed while it was read; try again"


def test_a_late_column_of_jsonl_is_found(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "慢"}\n' * 2000 + '{"text": "慢", "late": 1}\n', encoding="utf-8")
    file = open_file(path)
    assert file.column_names == ["text"]
    assert (file.has_column("late"), file.has_column("later")) == (True, False)


def test_only_a_workbook_has_sheets(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_file(tmp_path / "rows.csv", sheet="一月")
    assert caught.value.message == f"--sheet is for xlsx files; {tmp_path / 'rows.csv'} has no sheets"


def test_public_sets_are_read_whole(shared_data: Path) -> None:
    path = shared_data / "datasets" / "fewclue_eprstmt" / "test_public.parquet"
    assert sum(len(batch.rows) for batch in read_batches(path)) == count_rows(path)
