"""Clauses, words and windows: nothing is lost, cuts fall where they should."""

import builtins
import io
import logging
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.segment import clauses, windows, words

TEXTS = st.text(alphabet="快递慢，。！？；,!?;….1 2\n”)好ab", max_size=60)


def _lengths(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def _parts(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("快递太慢，客服也不回。差评！", ["快递太慢，", "客服也不回。", "差评！"]),
        ("快递太慢,客服也不回!!!差评", ["快递太慢,", "客服也不回!!!", "差评"]),
        ("他说“快了。”然后没了", ["他说“快了。”", "然后没了"]),
        ("一行\n二行", ["一行\n", "二行"]),
        ("花了1,299.50元;贵", ["花了1,299.50元;", "贵"]),
        ("等...算了", ["等...", "算了"]),
        ("没有标点", ["没有标点"]),
        ("", []),
    ],
)
def test_clauses(text: str, expected: list[str]) -> None:
    assert _parts(text, clauses(text)) == expected


def test_words_are_those_of_jieba_with_spaces_and_marks() -> None:
    text = "客服态度差, 不回复"
    assert _parts(text, words(text)) == ["客服", "态度", "差", ",", " ", "不", "回复"]


def test_words_ignore_the_global_dictionary_and_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    import jieba

    jieba.add_word("快递太慢")
    try:
        assert _parts("快递太慢", words("快递太慢")) == ["快递", "太慢"]
    finally:
        jieba.del_word("快递太慢")
    captured = capsys.readouterr()
    assert "快递" not in captured.out + captured.err
    assert logging.getLogger("jieba").level == logging.WARNING


def test_the_dictionary_is_never_read_from_or_written_to_the_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import segment

    opened: list[str] = []
    real = io.open

    def watch(file: object, *args: object, **kwargs: object) -> object:
        opened.append(str(file))
        return real(file, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", watch)
    segment._tokenizer.cache_clear()
    words("快递")
    assert not [name for name in opened if "cache" in name]


def test_windows_join_clauses_up_to_the_limit() -> None:
    text = "快递太慢，客服不回，包装破了，退款！"
    assert _parts(text, windows(text, limit=10, costs=_lengths)) == ["快递太慢，客服不回，", "包装破了，退款！"]
    assert windows(text, limit=100, costs=_lengths) == [(0, len(text))]
    assert windows("", limit=5, costs=_lengths) == []


def test_a_clause_over_the_limit_is_cut_hard_and_its_rest_joins_the_next() -> None:
    text = "好，" + "慢" * 7 + "。好"
    assert _parts(text, windows(text, limit=3, costs=_lengths)) == ["好，", "慢慢慢", "慢慢慢", "慢。好"]


def test_one_character_over_the_limit_stands_alone() -> None:
    assert windows("好的", limit=1, costs=lambda texts: [5 * len(text) for text in texts]) == [(0, 1), (1, 2)]


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.integers(1, 12))
def test_no_character_is_lost_or_doubled(text: str, limit: int) -> None:
    pieces = windows(text, limit=limit, costs=_lengths)
    for spans in (clauses(text), pieces, words(text)):
        assert "".join(_parts(text, spans)) == text
        assert all(start < end for start, end in spans)
    assert all(end - start <= limit for start, end in pieces)
