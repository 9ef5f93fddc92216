"""Traditional to simplified: right, aligned, idempotent, and harmless to simplified text."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alignment import identity
from pipeline.script import simplify, simplify_aligned


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [
        ("這個東西壞了", "这个东西坏了"),
        ("他說乾脆退掉", "他说干脆退掉"),
        ("乾坤袋裝不下", "乾坤袋装不下"),
        ("頭髮裡有蟲，後來發現是線頭", "头发里有虫，后来发现是线头"),
        ("反覆申訴都沒有回覆", "反复申诉都没有回复"),
        ("於是以後不買", "于是以后不买"),
        ("怀釐", "怀厘"),
        ("磚壞了", "砖坏了"),
        ("什麼", "什么"),
    ],
)
def test_traditional_becomes_simplified(traditional: str, simplified: str) -> None:
    assert simplify(traditional) == (simplified, tuple(range(len(traditional) + 1)))


@pytest.mark.parametrize("text", ["打坏了碗", "沈阳到货", "覆盖很广", "乾隆款", "什么么么哒", "捱到半夜", "著作权声明"])
def test_simplified_stays_though_opencc_alone_might_change_it(text: str) -> None:
    assert simplify(text)[0] == text


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="這個打坏壞沈覆乾淨麼么麽於後幺著作懷釐怀蒐于皇后a，", max_size=30))
def test_idempotent_and_of_the_same_length(text: str) -> None:
    once, offsets = simplify(text)
    assert simplify(once)[0] == once
    assert offsets == tuple(range(len(text) + 1))


class _Unequal:
    """A dictionary in which one character becomes two, as other OpenCC configurations have them."""

    def convert(self, text: str) -> str:
        return text.replace("軟體", "软件包").replace("軟", "软").replace("蟲", "虫子")


def test_entries_of_unequal_length_stay_aligned() -> None:
    text, offsets = simplify_aligned("軟體有蟲了", identity(5), converter=_Unequal())
    assert text == "软體有虫子了"
    assert offsets == [0, 1, 2, 3, 3, 4, 5]


def test_ten_thousand_real_simplified_comments_change_by_less_than_one_in_a_thousand(shared_data: Path) -> None:
    folder = shared_data / "datasets"
    texts: list[str] = []
    for name in ("waimai_10k", "online_shopping_10_cats"):
        texts += pq.read_table(folder / name / "all.parquet", columns=["text"]).column("text").to_pylist()[:5000]
    changed = sum(old != new for text in texts for old, new in zip(text, simplify(text)[0], strict=True))
    assert len(texts) == 10_000
    assert changed / sum(map(len, texts)) <= 0.001
