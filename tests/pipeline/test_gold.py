from typing import Any

import pytest

from pipeline.gold import LabelMistake, parse_gold
from pipeline.schema import LabelSchema, schema_from_dict

SCHEMA: LabelSchema = schema_from_dict(
    {
        "tasks": {
            "mood": {"kind": "single", "labels": [{"key": "0", "zh": "差评"}, {"key": "1", "zh": "好评"}]},
            "tags": {"kind": "multi", "labels": [{"key": "late", "zh": "迟到"}, {"key": "rude", "zh": "无礼"}]},
            "parts": {"kind": "aspect", "labels": [{"key": "food", "zh": "菜品"}, {"key": "place", "zh": "环境"}]},
        }
    }
)


def gold(cell: Any, task: str) -> Any:
    return parse_gold(cell, SCHEMA.task(task))


@pytest.mark.parametrize("cell", ["1", 1, 1.0, " 1 ", "好评"])
def test_one_label_by_key_number_or_chinese_name(cell: Any) -> None:
    assert gold(cell, "mood") == "1"


@pytest.mark.parametrize("cell", [None, "", "  ", float("nan")])
def test_an_empty_cell_is_unlabelled(cell: Any) -> None:
    assert [gold(cell, task) for task in ("mood", "tags", "parts")] == [None, None, None]


@pytest.mark.parametrize("cell", ["rude;late", "无礼；迟到", ["rude", "late"], '["rude", "late"]', ("late", "无礼")])
def test_several_labels_come_in_the_order_of_the_schema(cell: Any) -> None:
    assert gold(cell, "tags") == ("late", "rude")


@pytest.mark.parametrize(
    "cell",
    [
        "food:-1;place:+1",
        "环境：1；菜品：-1",
        {"place": 1, "food": -1.0},
        {"place": "positive", "food": "负面"},
        '{"food": -1, "place": 1}',
        [("food", -1), ("place", 1)],
        {"food": -1, "place": 1},
    ],
)
def test_every_form_of_aspects(cell: Any) -> None:
    found = gold(cell, "parts")
    assert found == {"food": -1, "place": 1}
    assert list(found) == ["food", "place"]


def test_none_mentioned_is_a_label() -> None:
    assert [gold("{}", "parts"), gold({}, "parts"), gold("[]", "tags"), gold([], "tags")] == [{}, {}, (), ()]


@pytest.mark.parametrize(
    ("cell", "task", "message"),
    [
        ("好坪", "mood", "mood has no label '好坪'; did you mean '好评'?"),
        ("x", "mood", "mood has no label 'x'"),
        (["late", "lete"], "tags", "tags has no label 'lete'; did you mean 'late'?"),
        ({"late": 1}, "tags", "tags: expected labels such as a;b, found an object"),
        ("food", "parts", "parts: expected category:polarity such as food:-1, found 'food'"),
        ("food:2", "parts", "parts: a polarity is -1, 0 or +1, found '2'"),
        ("fodo:1", "parts", "parts has no label 'fodo'; did you mean 'food'?"),
        ('{"food": ', "parts", "parts: not valid JSON"),
        (7, "parts", "parts: expected aspects such as food:-1, found '7'"),
        (
            "上菜慢得离谱，等了一个多小时才来第一道，端来还是凉的",
            "mood",
            "mood has no label '上菜慢得离谱，等了一个多小时才来第一道，端来还是…'",
        ),
    ],
)
def test_mistakes_name_the_task_and_the_nearest_label(cell: Any, task: str, message: str) -> None:
    with pytest.raises(LabelMistake) as caught:
        gold(cell, task)
    assert str(caught.value) == message
