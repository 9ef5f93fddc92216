from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError
from pipeline.readers import column_names, count_rows, file_format, read_batches
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


def test_public_sets_are_read_whole(shared_data: Path) -> None:
    path = shared_data / "datasets" / "fewclue_eprstmt" / "test_public.parquet"
    assert sum(len(batch.rows) for batch in read_batches(path)) == count_rows(path)
