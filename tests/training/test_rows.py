import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.feedback import Example
from pipeline.schema import LabelSchema
from training.rows import Rows, hold_out, input_file, joined, part, read_rows

LONG = "昨天下单的电饭煲今天一早就送到了，包装很结实，煮出来的饭也香"


@pytest.fixture
def rows(make_example: Callable[..., Example]) -> Callable[..., Rows]:
    def make(*texts: str) -> Rows:
        return Rows(tuple(make_example(text, sentiment="neutral") for text in texts), texts)

    return make


def write(path: Path, *lines: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def test_rows_are_prepared_and_unusable_ones_left_out(tmp_path: Path, schema: LabelSchema) -> None:
    path = write(
        tmp_path / "a.jsonl",
        {"text": "客服電話１３８００１３８０００沒人接", "sentiment": "负面"},
        {"text": "没有标签"},
        {"text": "只有紧急程度", "urgency": "high"},
    )
    found = read_rows(path, schema)
    assert found.texts == ("客服电话[手机号]没人接", "只有紧急程度")
    assert [dict(example.labels) for example in found.examples] == [{"sentiment": "negative"}, {"urgency": "high"}]


def test_a_file_without_labels_is_refused(tmp_path: Path, schema: LabelSchema) -> None:
    path = write(tmp_path / "a.jsonl", {"text": "还行"})
    with pytest.raises(DataError) as caught:
        read_rows(path, schema)
    assert caught.value.message == (
        f"{path}: expected a label for at least one of the tasks sentiment, category, aspects, urgency; found none; "
        "a column that is not named like its task is given with --label-column TASK=COLUMN"
    )


def test_copies_and_near_copies_of_dev_and_test_leave_the_training_rows(rows: Callable[..., Rows]) -> None:
    train = rows("快递很慢", LONG, "味道不错", "屏幕碎了")
    found = part([train], rows("快递很慢！"), rows(LONG + "。好"), calibration=0.0, seed=1)
    assert found.train.texts == ("味道不错", "屏幕碎了")
    assert found.leaked == 2


def test_near_copies_may_stay_when_told(rows: Callable[..., Rows]) -> None:
    train = rows("快递很慢", LONG, "味道不错")
    found = part([train], rows("快递很慢！"), rows(LONG + "。好"), calibration=0.0, seed=1, near_duplicates=False)
    assert found.train.texts == (LONG, "味道不错")


def test_nothing_left_to_train_on_is_told(rows: Callable[..., Rows]) -> None:
    with pytest.raises(DataError, match=r"^all 2 training rows are in the dev or test file too; nothing is left"):
        part([rows("好"), rows("坏")], rows("好", "坏"), None, calibration=0.1, seed=1)


def test_calibration_rows_are_whole_groups_out_of_train(rows: Callable[..., Rows]) -> None:
    texts = [f"第{i}次买了，{'很好' * (i % 3 + 1)}，物流编号{i * 7919}" for i in range(40)] + [LONG, LONG + "！"] * 3
    found = part([rows(*texts)], rows("dev 的一行"), None, calibration=0.25, seed=4)
    assert len(found.train) + len(found.calibration) == 46
    assert 8 <= len(found.calibration) <= 12
    assert {text[:5] for text in found.calibration.texts if text.startswith("昨天")} in (set(), {LONG[:5]})
    assert sum(text.startswith("昨天") for text in found.train.texts) in (0, 6)


def test_a_huge_group_stays_with_the_training_rows() -> None:
    kept, apart = hold_out([0] * 90 + list(range(1, 11)), share=0.1, seed=3)
    assert kept == list(range(90))
    assert apart == list(range(90, 100))


def test_hold_out_is_drawn_by_seed() -> None:
    groups = list(range(100))
    assert hold_out(groups, share=0.1, seed=1) == hold_out(groups, share=0.1, seed=1)
    assert hold_out(groups, share=0.1, seed=1) != hold_out(groups, share=0.1, seed=2)
    assert hold_out(groups, share=0.0, seed=1) == (groups, [])


def test_files_are_joined_in_order(rows: Callable[..., Rows]) -> None:
    assert joined([rows("一", "二"), rows("三")]).texts == ("一", "二", "三")


def test_an_input_file_has_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 3_000_000)
    found = input_file(path, role="dev", rows=7)
    assert found.sha256 == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert (found.role, found.rows) == ("dev", 7)
