"""The guard: what it must hold back, what it must let through, and that its search misses nothing."""

from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from pipeline.annotations import annotation_key, read_annotations
from pipeline.duplicates import jaccard, text_key
from pipeline.resources import shipped
from training.leakage import LeakGuard, guard_of

LONG = (
    "上周三在你们店里订了一台滚筒洗衣机，约好周五送货，结果等到周日也没人来，打电话过去说师傅生病了，"
    "让我再等两天，可是家里堆了一大盆衣服，孩子明天还要穿校服上学，请尽快给个准信"
)
GUARDED = ["门锁装好第二天就打不开了", LONG, "发货快", "   "]


def key_of(text: str) -> str:
    key = annotation_key(text)
    assert key
    return key


@pytest.fixture
def guard() -> LeakGuard:
    return LeakGuard(GUARDED)


def test_empty_texts_are_not_guarded(guard: LeakGuard) -> None:
    assert len(guard) == 3


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("门锁装好第二天就打不开了！！", "same"),  # other punctuation
        (LONG + "。还有，上门费谁来出？能不能一并说清楚，别到时候又推来推去", "same"),  # goes on differently
        ("你好，在吗？" + LONG, "contained"),
        ("门锁装好第二天就打不开啦", "near"),  # 9 of 11 pieces: 0.82
        ("昨天那把门锁装好第二天就打不开了", None),  # 10 of 14: 0.71
        ("发货快", "same"),
        ("发货快，包装也好", None),  # too short to be looked for inside others
        ("空调外机滴水，把楼下的花浇死了", None),
    ],
)
def test_match(guard: LeakGuard, text: str, match: str | None) -> None:
    assert guard.match(text) == match


def test_near_duplicate_of_a_text_cut_off() -> None:
    guard = LeakGuard([LONG])
    changed = LONG.replace("滚筒", "波轮")
    assert jaccard(text_key(LONG), text_key(changed)) >= 0.8
    assert guard.match(changed) == "near"


def test_screen_counts_by_match(guard: LeakGuard) -> None:
    found = guard.screen(["发货快", "窗帘颜色很正", LONG + "谢谢", "在吗" + LONG])
    assert found.kept == (1,)
    assert found.held == Counter({"same": 2, "contained": 1})


def test_a_key_guards_its_text_as_it_stands_and_prepared() -> None:
    guard = LeakGuard([], labeled={key_of("水壶底座松了，一碰就断电")})
    assert guard.match("水壶底座松了,一碰就断电!") == "same"
    assert guard.match("水壶底座松了", ["水壶底座松了，一碰就断电", "别的"]) == "same"
    assert guard.match("水壶底座松了") is None
    assert guard.screen(["甲", "乙"], ["水壶底座松了，一碰就断电！", "乙"]).kept == (1,)
    assert len(guard) == 0
    assert str(guard) == (
        "0 texts of dev and the evaluation splits are guarded, and 1 labelled dev texts by their keys"
    )


def test_the_shipped_keys_guard_where_there_is_nothing_else(tmp_path: Path) -> None:
    """Who has the public sets alone has no triage/dev.jsonl."""
    (tmp_path / "datasets").mkdir()
    guard = guard_of(tmp_path)
    assert guard.labeled == {one.key for one in read_annotations(shipped("data", "annotations", "dev.jsonl"))}
    assert len(guard.labeled) > 700


def test_search_finds_every_pair_at_the_threshold() -> None:
    """Against comparing every text with every other."""
    parts = [
        ("快递", "包裹", "外卖"),
        ("昨天", "前天"),
        ("送到楼下", "丢在门口", "送错地址"),
        ("没有打电话", "也没发短信"),
    ]
    texts = ["".join(choice) + "我很不满意请你们处理一下谢谢" for choice in product(*parts)]
    guard = LeakGuard(texts[::3])
    for text in texts:
        near = any(jaccard(text_key(text), text_key(one)) >= 0.8 for one in texts[::3])
        assert (guard.match(text) is not None) == near
