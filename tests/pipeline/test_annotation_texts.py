from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.annotation_texts import cell_texts, public_rows, row_texts, text_files
from pipeline.annotations import PublicRow
from pipeline.errors import DataError


def written(data: Path, name: str, **columns: Any) -> Path:
    path = data / "datasets" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def found(data: Path) -> list[PublicRow]:
    return list(public_rows(text_files(data)))


def test_every_string_of_every_row_comes_in_order(tmp_path: Path) -> None:
    written(tmp_path, "shop/test", text=["差"])
    written(tmp_path, "bank/train", id=[1, 2], title=["利息", None], text=pa.array(["太高", "好"], pa.large_string()))
    assert found(tmp_path) == [
        PublicRow("bank", "train", 1, ("利息", "太高")),
        PublicRow("bank", "train", 2, ("好",)),
        PublicRow("shop", "test", 1, ("差",)),
    ]


def test_a_review_comes_with_its_title_too(tmp_path: Path) -> None:
    written(tmp_path, "appstore_reviews/all", title=["闪退 ", None], text=["一打开就退", "好用"], stars=[1, 5])
    assert [row.texts for row in found(tmp_path)] == [("闪退 ", "一打开就退", "闪退。一打开就退"), ("好用",)]


def test_a_cell_and_a_row_by_themselves() -> None:
    assert list(cell_texts("jddc_sample", "在吗,您好")) == ["在吗,您好", "在吗", "您好", "在吗，您好"]
    assert list(cell_texts("shop", "在吗,您好")) == ["在吗,您好"]
    assert list(row_texts("appstore_reviews", {"title": "闪退 ", "text": "一打开就退"})) == ["闪退。一打开就退"]
    assert list(row_texts("shop", {"title": "闪退", "text": "一打开就退"})) == []


def test_coded_columns_count_and_lists_do_not(tmp_path: Path) -> None:
    coded = pa.array(["好", "好"]).dictionary_encode()
    written(tmp_path, "shop/all", text=coded, topics=pa.array([["价格"], []], pa.list_(pa.string())))
    assert [row.texts for row in found(tmp_path)] == [("好",), ("好",)]


def test_line_breaks_that_are_written_out_become_blanks(tmp_path: Path) -> None:
    written(tmp_path, "asap_sample/dev", text=["环境好\\n菜咸\\\\n下次不来"])
    assert found(tmp_path)[0].texts == ("环境好\\n菜咸\\\\n下次不来", "环境好 菜咸\\ 下次不来")


def test_of_a_dialogue_one_turn_and_two_are_texts(tmp_path: Path) -> None:
    written(tmp_path, "jddc_sample/train", text_a=["在吗,您好,发货没"], text_b=["今天发,"])
    assert found(tmp_path)[0].texts == (
        "在吗,您好,发货没",
        *("在吗", "您好", "发货没", "在吗，您好", "您好，发货没"),
        "今天发,",
        *("今天发", "", "今天发，"),
    )


def test_progress_counts_over_all_files(tmp_path: Path) -> None:
    written(tmp_path, "a/all", text=["一"] * 1025)
    written(tmp_path, "b/all", text=["二"])
    told: list[int] = []
    assert len(list(public_rows(text_files(tmp_path), progress=told.append))) == 1026
    assert told == [1024, 1025, 1026]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "a/all", text=["一"])
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError) as caught:
        text_files(tmp_path)
    assert caught.value.message == f"{path} cannot be read: it is named .parquet but is no parquet file"
