"""pipeline/assertion.py: told as a fact, or denied, asked, supposed, guarded against."""

import pytest

from pipeline.assertion import asserted


def told(text: str, *, threat: bool = False) -> bool:
    """Of the phrase between 【 and 】."""
    start, end = text.index("【"), text.index("】") - 1
    return asserted(text.replace("【", "").replace("】", ""), start, end, threat=threat)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("【着火】了", True),
        ("没有【着火】", False),
        ("不是没有【着火】", True),
        ("没有,【着火】了", True),
        ("没有【着火】,", False),
        ("没有人管就【着火】了", True),
        ("不料【着火】", True),
        ("差点没【着火】", True),
        ("不会再【着火】", False),
        ("会不会【着火】", False),
        ("会不会是【着火】了", True),
        ("【着火】吗?", False),
        ("【着火】了吗?", True),
        ("这不是【着火】吗?", True),
        ("难道没有【着火】", True),
        ("如果【着火】", False),
        ("如果不是我在,早就【着火】了", True),
        ("主要是【着火】了", True),
        ("【着火】的话怎么办", False),
        ("万一没人,【着火】了怎么办", False),
        ("万一没人,【着火】了也看不见", True),
        ("很怕它【着火】", False),
        ("恐怕【着火】了", True),
        ("防【着火】", False),
        ("消防员说【着火】了", True),
        ("【着火】倒没有", False),
        ("【着火】都没人管", True),
    ],
)
def test_what_happened(text: str, expected: bool) -> None:
    assert told(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("不退款就【起诉】", True),
        ("如果不退就【起诉】", True),
        ("能不能【起诉】?", True),
        ("怎么【起诉】吗", True),
        ("没有人【起诉】你们怎么会怕", True),
        ("不想【起诉】", False),
        ("没有【起诉】", False),
        ("怕被【起诉】", False),
        ("【起诉】就算了", False),
    ],
)
def test_what_is_threatened(text: str, expected: bool) -> None:
    assert told(text, threat=True) is expected


def test_only_the_clause_within_reach_counts() -> None:
    assert told("没有" + "会" * 11 + "【着火】") is False
    assert told("没有" + "会" * 30 + "【着火】") is True
