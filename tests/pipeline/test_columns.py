import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.columns import ColumnMap, parse_time, read_examples, to_feedback
from pipeline.errors import DataError, SchemaError, TextError
from pipeline.feedback import Example
from pipeline.rows import BAD_ROW
from pipeline.schema import LabelSchema
from pipeline.split import to_row
from pipeline.writers import Column, open_writer


def jsonl(folder: Path, *rows: dict[str, Any] | str) -> Path:
    path = folder / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_row_becomes_an_example(tmp_path: Path, schema: LabelSchema) -> None:
    path = jsonl(
        tmp_path,
        {
            "id": 17,
            "text": "送餐超时四十分钟",
            "channel": "外卖",
            "created_at": "2024-05-01 12:30",
            "customer_ref": "u9",
            "source": "own",
            "group": "g1",
            "sentiment": "负面",
            "urgency": "low",
            "aspects": {"物流配送": -1},
            "store": "三店",
        },
    )
    (example,) = read_examples(path, schema)
    assert example.labels == {"sentiment": "negative", "urgency": "low", "aspects": {"logistics": -1}}
    feedback = example.feedback
    assert (feedback.id, feedback.channel, feedback.customer_ref) == ("17", "外卖", "u9")
    assert feedback.created_at == datetime(2024, 5, 1, 12, 30)
    assert (example.source, example.group, feedback.metadata) == ("own", "g1", {"store": "三店"})


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet", "xlsx"])
def test_examples_survive_every_format(
    tmp_path: Path, schema: LabelSchema, examples: list[Example], extension: str
) -> None:
    path = tmp_path / f"gold.{extension}"
    kinds: dict[str, Any] = {
        "id": "any",
        "text": "text",
        "sentiment": "any",
        "category": "any",
        "urgency": "any",
        "aspects": "aspects",
    }
    with open_writer(path, columns=[Column(name, kind) for name, kind in kinds.items()]) as writer:
        writer.write([to_row(example) for example in examples])
    assert read_examples(path, schema) == examples


def test_columns_are_named_by_options(tmp_path: Path, schema: LabelSchema) -> None:
    path = jsonl(tmp_path, {"评论": "物美价廉", "情感": "正面", "sentiment": "negative"})
    (example,) = read_examples(path, schema, columns=ColumnMap(text="评论", labels={"sentiment": "情感"}))
    assert (example.text, example.labels) == ("物美价廉", {"sentiment": "positive"})


def test_missing_columns_are_told_with_those_found(tmp_path: Path, schema: LabelSchema) -> None:
    path = jsonl(tmp_path, {"评论": "好", "情感": "正面"})
    with pytest.raises(DataError) as caught:
        read_examples(path, schema)
    assert (caught.value.code, caught.value.message) == (
        "column_missing",
        f"{path} has no column 'text'; its columns are: 评论, 情感; name the text's with --text-column",
    )
    with pytest.raises(DataError) as caught:
        read_examples(path, schema, columns=ColumnMap(text="评论", labels={"sentiment": "mood"}))
    assert caught.value.message == f"{path} has no column 'mood' for sentiment; its columns are: 评论, 情感"
    with pytest.raises(DataError) as caught:
        read_examples(path, schema, columns=ColumnMap(text="评论", group="order"))
    assert caught.value.message == f"{path} has no column 'order' for group; its columns are: 评论, 情感"
    with pytest.raises(SchemaError) as unknown:
        read_examples(path, schema, columns=ColumnMap(text="评论", labels={"mood": "情感"}))
    assert unknown.value.code == "unknown_task"


def test_every_unknown_label_is_told_with_its_row(tmp_path: Path, schema: LabelSchema) -> None:
    path = jsonl(
        tmp_path,
        {"text": "好用", "sentiment": "positve"},
        {"text": "还行", "sentiment": "neutral"},
        {"text": "坏了", "sentiment": "负", "urgency": "urgent"},
    )
    with pytest.raises(DataError) as caught:
        read_examples(path, schema)
    assert caught.value.code == "labels_unknown"
    assert caught.value.message == (
        f"{path} has 2 rows with labels outside of schema 'feedback-triage': "
        "row 1: sentiment has no label 'positve'; did you mean 'positive'?; "
        "row 3: sentiment has no label '负'; did you mean '负面'?; row 3: urgency has no label 'urgent'. "
        "Correct them, or take them out. Labels of sentiment: negative, neutral, positive. "
        "Labels of urgency: low, medium, high, critical."
    )


def test_at_most_twenty_mistakes_are_shown(tmp_path: Path, schema: LabelSchema) -> None:
    path = jsonl(tmp_path, *({"text": f"第{i}次催单", "sentiment": "?"} for i in range(30)))
    with pytest.raises(DataError) as caught:
        read_examples(path, schema)
    assert caught.value.message.count("has no label") == 20
    assert "; and 10 more. Correct them" in caught.value.message


def test_rows_without_text_are_told(tmp_path: Path, schema: LabelSchema) -> None:
    path = jsonl(tmp_path, {"text": "好"}, {"text": None}, {"text": " "}, "{")
    with pytest.raises(DataError) as caught:
        read_examples(path, schema)
    assert caught.value.code == "rows_invalid"
    assert caught.value.message.startswith(
        f"{path} has 3 rows that cannot be used: "
        "row 2: expected text, found none; put the comment into the text column as a string; "
        "row 3: the text is empty; row 4: not valid JSON: "
    )


def test_a_number_is_text_and_a_list_is_not() -> None:
    assert to_feedback({"text": 666}, ColumnMap()).text == "666"
    assert to_feedback({"text": 5.0, "id": 3.0, BAD_ROW: "x"}, ColumnMap()).id == "3"
    for cell in (None, True, ["好"], float("nan")):
        with pytest.raises(TextError) as caught:
            to_feedback({"text": cell}, ColumnMap())
        assert caught.value.code == "not_text"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2024-05-01T08:30:00Z", datetime(2024, 5, 1, 8, 30, tzinfo=UTC)),
        ("2024/5/1 8:30", datetime(2024, 5, 1, 8, 30)),
        ("2024年5月1日", datetime(2024, 5, 1)),
        (date(2024, 5, 1), datetime(2024, 5, 1)),
        (datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),  # no such moment in UTC
        ("9999-12-31T23:00:00-14:00", None),
        ("昨天", None),
        (20240501, None),
        (None, None),
    ],
)
def test_times_keep_the_zone_that_they_have(cell: Any, expected: datetime | None) -> None:
    assert parse_time(cell) == expected


def test_triage_rows_are_read_whole(shared_data: Path, schema: LabelSchema) -> None:
    examples = read_examples(shared_data / "triage" / "dev.jsonl", schema)
    assert all(set(example.labels) == {"sentiment", "category", "aspects", "urgency"} for example in examples)
