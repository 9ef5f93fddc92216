import random
import sys

import pytest

from pipeline.duplicates import DisjointSets, exact_groups, jaccard, near_duplicate_groups, text_key
from pipeline.errors import ConfigError

BASE = "昨天下单的咖啡机今天就到了，包装很结实，操作也简单，磨豆的声音比想象中小，打出来的奶泡绵密，家里人都夸买对了"


def test_key_keeps_letters_digits_and_han_only() -> None:
    assert text_key("  WiFi6 很快！！👍（真的）…") == "wifi6很快真的"
    assert text_key("ＷｉＦｉ６　很快") == "wifi6很快"
    assert text_key(" 👍👍 ") == "👍👍"


def test_exact_groups_are_numbered_by_appearance() -> None:
    assert exact_groups(["好！", "差", "好。", "差 ", "一般"]) == [0, 1, 0, 1, 2]


def test_near_duplicates_share_a_group_and_others_do_not() -> None:
    texts = [BASE, "完全不同的一句话，说的是酒店早餐", BASE.replace("昨天", "前天"), BASE + "！！", BASE[:20]]
    assert near_duplicate_groups(texts) == [0, 1, 0, 0, 2]


def test_a_chain_is_one_group() -> None:
    one = BASE
    two = one.replace("昨天下单", "上周下单")
    three = two.replace("都夸买对了", "都说买亏了")
    threshold = min(jaccard(text_key(one), text_key(two)), jaccard(text_key(two), text_key(three)))
    assert jaccard(text_key(one), text_key(three)) < threshold
    assert near_duplicate_groups([one, three, two], threshold=threshold) == [0, 0, 0]


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_groups_are_those_of_comparing_every_pair(threshold: float) -> None:
    letters = random.Random(3)
    words = ["快递", "客服", "态度", "味道", "分量", "房间", "前台", "屏幕", "续航", "价格", "退款", "包装"]
    texts = ["".join(letters.choices(words, k=12)) for _ in range(60)]
    texts += ["".join(c if letters.random() > 0.03 else "很" for c in letters.choice(texts)) for _ in range(120)]
    keys = [text_key(text) for text in texts]
    sets = DisjointSets(len(keys))
    for i in range(len(keys)):
        for j in range(i):
            if jaccard(keys[i], keys[j]) >= threshold:
                sets.join(i, j)
    expected: dict[int, int] = {}
    groups = [expected.setdefault(sets.root(i), len(expected)) for i in range(len(keys))]
    assert near_duplicate_groups(texts, threshold=threshold) == groups
    assert len(expected) < 150


def test_short_and_empty_texts_do_not_meet() -> None:
    assert near_duplicate_groups(["好", "差", "", "好"]) == [0, 1, 2, 0]


@pytest.mark.parametrize("threshold", [0.0, 1.5, -1.0])
def test_threshold_out_of_range_is_told(threshold: float) -> None:
    with pytest.raises(ConfigError) as caught:
        near_duplicate_groups(["好"], threshold=threshold)
    assert caught.value.message == f"a similarity is above 0 and at most 1; found {threshold}"


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(ConfigError) as caught:
        near_duplicate_groups(["好", "差"])
    assert (caught.value.code, caught.value.message) == (
        "extra_missing",
        'near-duplicates need the training extra; install it with: pip install ".[train]" in the checkout',
    )
