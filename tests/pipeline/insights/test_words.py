"""Words in several processes are those of one."""

import pytest

from pipeline.insights import words
from pipeline.insights.words import BREAK, all_words

TEXTS = ["快递三天没到", "客服也不回，退款没到账", "快递三天没到", "", "！！"] * 3 + [f"第{i}次来了" for i in range(40)]


def test_several_processes_cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = all_words(TEXTS)
    assert alone[0] == alone[2] == ["快递", "三天", "没", "到", BREAK]
    monkeypatch.setattr(words, "_MANY", 10)
    monkeypatch.setattr(words, "_PIECE", 7)
    told: list[int] = []
    assert all_words(TEXTS, processes=2, progress=told.append) == alone
    assert told == sorted(told)
    assert told[-1] == len(TEXTS)
