"""Which comments fall into which slice."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.feedback import Example, Feedback
from training.slices import CUES, slices

SARCASTIC = (
    "呵呵，等了仨小时就换来一句稍等",
    "你们的“贴心服务”我算是领教了",
    "可真有你们的，退个货要填八张表",
    "真是好服务，电话永远占线",
    "也是醉了，同一个零件坏三次",
)
PLAIN = ("包装严实，第二天就到", "袜子有点薄", "请问能开专票吗", "早餐的豆浆很香", "客服小李耐心，给个赞")


@pytest.mark.parametrize("text", SARCASTIC)
def test_sarcasm_cues_find(text: str) -> None:
    assert CUES["sarcasm"].search(text)


@pytest.mark.parametrize("text", PLAIN)
def test_sarcasm_cues_leave_plain_wording_alone(text: str) -> None:
    assert not CUES["sarcasm"].search(text)


@pytest.mark.parametrize("text", ["一点都不好用", "谈不上满意", "没有想象中那么新鲜", "说实话不太推荐", "这价钱不算贵"])
def test_negation_cues_find_turned_around_words(text: str) -> None:
    assert CUES["negation"].search(text)


def test_slices_by_source_length_script_and_probe(make_example: Callable[..., Example]) -> None:
    rows = [make_example("早餐的豆浆很香", source="hotel") for _ in range(12)]
    rows += [make_example("這個東西質量太差，客服態度也很壞" + "，" * 10, source="shop") for _ in range(11)]
    rows += [make_example("呵呵，等了仨小时就换来一句稍等", source="shop") for _ in range(10)]
    found = slices(rows)
    assert {name: int(mask.sum()) for name, mask in found.items()} == {
        "source=shop": 21,
        "source=hotel": 12,
        "length=0-15": 12,
        "length=15-40": 21,
        "script=traditional": 11,
        "probe=sarcasm": 10,
    }
    assert np.flatnonzero(found["script=traditional"]).tolist() == list(range(12, 23))


def test_one_traditional_character_does_not_make_a_traditional_comment(make_example: Callable[..., Example]) -> None:
    rows = [make_example("客服说乾隆款的花瓶缺货，要等到下个月中旬才能补上，让我先退款") for _ in range(12)]
    assert "script=traditional" not in slices(rows)


@pytest.mark.parametrize("tags", [["sarcasm", "slang"], "sarcasm;slang", "sarcasm, slang"])
def test_tags_count_where_no_cue_is(tags: object) -> None:
    rows = [Example(Feedback("您几位辛苦了，睡醒再发货吧", metadata={"tags": tags}), {}) for _ in range(10)]
    found = slices(rows)
    assert found["probe=sarcasm"].all()
    assert found["tag=slang"].all()
    assert "tag=sarcasm" not in found


def test_small_slices_and_a_single_source_are_left_out(make_example: Callable[..., Example]) -> None:
    rows = [make_example("早餐的豆浆很香", source="hotel") for _ in range(20)] + [make_example("呵呵", source="hotel")]
    assert list(slices(rows)) == ["length=0-15"]
