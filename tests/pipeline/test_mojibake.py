import pytest

from pipeline.mojibake import is_common, looks_garbled

SENTENCES = ("快递三天没到，客服也不回", "东西很好", "這個價錢買到賺到，推薦！", "屏幕有坏点，要求退货")


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize(("real", "read_as"), [("utf-8", "gb18030"), ("utf-8", "latin-1"), ("gb18030", "latin-1")])
def test_wrong_decodings_are_seen(sentence: str, real: str, read_as: str) -> None:
    assert looks_garbled(sentence.encode(real).decode(read_as, "replace"))
    assert not looks_garbled(sentence)


def test_windows_reads_one_byte_as_the_euro_sign() -> None:
    assert looks_garbled("涓€" + "手交钱了".encode().decode("gbk"))  # 一手交钱了


@pytest.mark.parametrize("text", ["锟斤拷锟斤拷，送得慢", "烫烫烫", "少了\ufffd一件"])
def test_marks_of_lost_text_are_seen(text: str) -> None:
    assert looks_garbled(text)


@pytest.mark.parametrize(
    "text",
    ["……………", "····无语", "—————很贵", "café très bien", "déjà vu à l'hôtel", "", "👍👍👍👍", "㎡㎡㎡㎡", "火锅太烫"],
)
def test_unusual_but_proper_text_is_not(text: str) -> None:
    assert not looks_garbled(text)


@pytest.mark.parametrize("char", "好賺龘aＡ，。！℃①👍🈶\n")
def test_common_characters(char: str) -> None:
    assert is_common(char)


@pytest.mark.parametrize("char", ["\ue000", "\x00", "\ufffd", "க", "𪚥"])
def test_uncommon_characters(char: str) -> None:
    assert not is_common(char)
