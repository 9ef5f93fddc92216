"""Scored files into a table: every form that is written, and every row that is left out told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from pipeline.insights.read_table import ReadOptions, ReadReport, read_table
from pipeline.insights.table import FeedbackTable
from pipeline.readers import open_file
from pipeline.schema import LabelSchema
from tests.pipeline.insights.comments import ZONE

ROWS: list[dict[str, Any]] = [
    {
        "id": f"a{i}",
        "text": text,
        "created_at": time,
        "shop": shop,
        "sentiment": sentiment,
        "sentiment_probability": 0.9,
        "category": "refund",
        "aspects": {"refund": -1},
        "urgency": "high",
        "urgency_score": 0.8,
        "nps": nps,
        "error": None,
        "embedding": [0.5, 0.25],
    }
    for i, (text, time, shop, sentiment, nps) in enumerate(
        (
            ("退款没到账，电话13812345678", "2026-03-01T23:30:00+08:00", "东门店", "negative", 3),
            ("退款很快", "2026-03-01T16:30:00Z", "西门店", "positive", 9),
            ("退款被拒", "2026/3/2 8:00", "东门店", "negative", None),
            ("退款在哪里看", None, "西门店", "neutral", None),
            ("退款算错", "前天", "东门店", "negative", None),
            ("退款已收到", "2026-03-03", "西门店", "positive", 8),
        )
    )
]


def read(path: Path, schema: LabelSchema, **options: Any) -> tuple[FeedbackTable, ReadReport]:
    return read_table([open_file(path)], ReadOptions(schema, ZONE, **options))


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_all_forms_read_the_same(tmp_path: Path, schema: LabelSchema) -> None:
    jsonl = write_jsonl(tmp_path / "a.jsonl", ROWS)
    aspects = pa.array([list(row["aspects"].items()) for row in ROWS], pa.map_(pa.string(), pa.int8()))
    table = pa.Table.from_pylist(ROWS).set_column(7, "aspects", aspects)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.tile([0.5, 0.25], 6).astype(np.float16)), 2)
    pq.write_table(table.set_column(12, "embedding", vectors), tmp_path / "a.parquet")
    found, _ = read(jsonl, schema)
    other, _ = read(tmp_path / "a.parquet", schema)
    assert found.ids == other.ids
    assert found.texts == other.texts
    assert found.days.tolist() == other.days.tolist()
    assert found.embeddings is not None
    assert other.embeddings is not None
    np.testing.assert_array_equal(found.embeddings, other.embeddings)
    assert found.aspects is not None
    assert other.aspects is not None
    np.testing.assert_array_equal(found.aspects.polarity, other.aspects.polarity)


def test_a_csv_of_scored_comments(tmp_path: Path, schema: LabelSchema) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "id,text,created_at,shop,sentiment,aspects,urgency_score\n"
        "1,快递慢,2026-03-01 10:00,东门店,negative,logistics:-1,0.7\n"
        "2,快递快,2026-03-01 11:00,西门店,positive,logistics:+1;price:0,0.1\n",
        encoding="utf-8",
    )
    table, report = read(path, schema)
    assert table.aspects is not None
    assert table.aspects.is_polarity("logistics", -1).tolist() == [True, False]
    assert table.numbers["urgency_score"].tolist() == pytest.approx([0.7, 0.1])
    assert report.times_without_zone == 2
    assert table.attributes["shop"].values == ("东门店", "西门店")


def test_times_are_days_of_the_zone_and_counted_where_they_lack(tmp_path: Path, schema: LabelSchema) -> None:
    table, report = read(write_jsonl(tmp_path / "a.jsonl", ROWS), schema)
    # 16:30 UTC is past midnight in Shanghai.
    assert [str(day) for day in table.days] == ["2026-03-01", "2026-03-02", "2026-03-02", "NaT", "NaT", "2026-03-03"]
    assert (report.times_missing, report.times_unread, report.times_without_zone) == (1, 1, 2)
    notes = " ".join(report.notes(ZONE))
    assert "1 row without a time: kept for topics, not counted over time" in notes
    assert "2 rows with a time without a zone, taken as Asia/Shanghai" in notes


def test_texts_are_masked(tmp_path: Path, schema: LabelSchema) -> None:
    table, _ = read(write_jsonl(tmp_path / "a.jsonl", ROWS), schema)
    assert table.texts[0] == "退款没到账,电话[手机号]"


def test_scores_are_no_attributes_and_metadata_are(tmp_path: Path, schema: LabelSchema) -> None:
    rows = [row | {"metadata": {"product": "杯" if i % 2 else "壶"}, "zone": "auto"} for i, row in enumerate(ROWS)]
    table, _ = read(write_jsonl(tmp_path / "a.jsonl", rows), schema)
    assert set(table.attributes) == {"shop", "product"}
    assert table.labels["sentiment"].counts().tolist() == [3, 1, 2]
    assert np.nansum(table.numbers["nps"]) == 20


def test_bad_rows_are_left_out_and_told(tmp_path: Path, schema: LabelSchema) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [*ROWS, {"id": "b", "text": ""}, ROWS[0] | {"error": "empty"}])
    with path.open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    table, report = read(path, schema)
    assert len(table) == 6
    assert dict(report.left_out) == {
        "it has no text": [7],
        "scoring failed at it": [8],
        "it cannot be read": [9],
    }


def test_a_file_without_any_usable_row(tmp_path: Path, schema: LabelSchema) -> None:
    with pytest.raises(DataError, match=r"no usable comment: 1 row left out: it has no text \(row 1\)"):
        read(write_jsonl(tmp_path / "a.jsonl", [{"text": " "}]), schema)


def test_embeddings_of_two_models_are_refused(tmp_path: Path, schema: LabelSchema) -> None:
    rows = [ROWS[0], ROWS[1] | {"embedding": [1.0]}]
    with pytest.raises(DataError, match="embeddings of 2 and of 1 numbers; score all files with one model"):
        read(write_jsonl(tmp_path / "a.jsonl", rows), schema)


def test_an_attribute_asked_for_must_be_there(tmp_path: Path, schema: LabelSchema) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(DataError, match="no row has the attribute 'store'"):
        read(path, schema, attributes=("store",))
    table, _ = read(path, schema, attributes=("shop",))
    assert set(table.attributes) == {"shop"}
