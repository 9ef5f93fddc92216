"""Scored files into a table: every form that is written, and every row that is left out told."""

import csv
import json
from datetime import UTC, datetime
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


def test_rows_with_impossible_times_are_kept_but_not_counted_over_time(tmp_path: Path, schema: LabelSchema) -> None:
    rows = [ROWS[0] | {"id": f"r{i}", "created_at": f"2026-03-{1 + i % 28:02}T08:00:00+08:00"} for i in range(300)]
    slips = [{"created_at": "2036-05-01 10:00"}, {"created_at": "0202-11-20"}, {"created_at": "1970-01-01"}]
    path = write_jsonl(tmp_path / "a.jsonl", [*rows, *(ROWS[0] | slip for slip in slips)])
    table, report = read(path, schema, now=datetime(2026, 4, 1, tzinfo=UTC))
    assert len(table) == 303
    assert (str(table.known_days.min()), str(table.known_days.max())) == ("2026-03-01", "2026-03-28")
    assert (report.times_future, report.times_far_away) == (1, 2)
    notes = " ".join(report.notes(ZONE))
    assert "1 row with a time in the future: kept for topics, not counted over time; correct the times" in notes
    assert "2 rows with a time years away from all others" in notes


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_whole_numbers_beside_gaps_are_attributes(tmp_path: Path, schema: LabelSchema, suffix: str) -> None:
    # As pandas writes a column of integers with empty cells.
    rows = [{"text": row["text"], "created_at": None, "branch": 12.0 if i % 2 else 7.0} for i, row in enumerate(ROWS)]
    table = pa.Table.from_pylist([*rows, {"text": "退款慢", "branch": None}])
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        lines = [f"{row['text']},{'' if row['branch'] is None else row['branch']}" for row in table.to_pylist()]
        path.write_text("\n".join(["text,branch", *lines]), encoding="utf-8")
    found, _ = read(path, schema)
    assert set(found.attributes["branch"].values) == {"7", "12"}
    assert found.attributes["branch"].codes[-1] == -1


def test_fractions_are_no_attribute_and_asking_for_them_says_so(tmp_path: Path, schema: LabelSchema) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [row | {"km": 1.5 if i % 2 else 2.0} for i, row in enumerate(ROWS)])
    assert set(read(path, schema)[0].attributes) == {"shop"}
    with pytest.raises(DataError, match=r"column 'km' holds numbers such as 1.5, and an attribute is text or whole"):
        read(path, schema, attributes=("km",))


METADATA = {"product": "杯", "shop": "另一家", "shelf": 4, "note": "长" * 65, "parts": ["盖"], "nps": 9, "answer": "好"}


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_metadata_of_an_export_are_attributes(tmp_path: Path, schema: LabelSchema, form: str) -> None:
    cells = [METADATA | {"product": "壶" if i % 2 else "杯", "shelf": 4 + i % 2} for i in range(6)]
    texts = [json.dumps(cell, ensure_ascii=False) for cell in cells]
    path = tmp_path / f"a.{form}"
    if form == "jsonl":
        write_jsonl(path, [row | {"metadata": cell} for row, cell in zip(ROWS, cells, strict=True)])
    elif form == "parquet":
        columns = {"text": [row["text"] for row in ROWS], "shop": [row["shop"] for row in ROWS], "metadata": texts}
        pq.write_table(pa.table(columns), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [("text", "shop", "metadata")]
                + [(row["text"], row["shop"], cell) for row, cell in zip(ROWS, texts, strict=True)]
            )
    table, _ = read(path, schema)
    # The column shop wins; what is long, no scalar or an answer is no attribute; the survey's mark is a number.
    assert {name: set(column.values) for name, column in table.attributes.items()} == {
        "shop": {"东门店", "西门店"},
        "product": {"杯", "壶"},
        "shelf": {"4", "5"},
    }
    assert table.numbers["nps"][0] == (3 if form == "jsonl" else 9)


def test_metadata_that_cannot_be_read_are_told(tmp_path: Path, schema: LabelSchema) -> None:
    rows = [ROWS[0] | {"metadata": "{broken"}, *ROWS[1:]]
    _, report = read(write_jsonl(tmp_path / "a.jsonl", rows), schema)
    assert "1 row whose metadata is no JSON object: read without it" in report.notes(ZONE)
