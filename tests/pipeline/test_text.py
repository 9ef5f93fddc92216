"""normalize: each step, the errors, and the properties that everything else relies on."""

import re
import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError, TextError
from pipeline.spelling import compatible, squeezed
from pipeline.text import MAX_CHARS, NORMALIZER_VERSION, normalize

# Whatever can meet: wide and narrow, both scripts, marks and joiners, emoji, digits, white space.
TRICKY = (
    "好评差壞這後坏怀釐ab1２3，！。.!~…［］[] \n\t\r\u3000\u2028\u200b\u200d\ufe0f\u0301\u20e3"
    "é😂👍🏻❤🤷♀🇨🇳①ﷺ각가㊙手机号R哈"
)
MESSY = st.one_of(
    st.text(alphabet=TRICKY, max_size=60),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40),
    st.lists(st.sampled_from(TRICKY), max_size=6)
    .map("".join)
    .flatmap(lambda unit: st.integers(1, 30).map(unit.__mul__)),
)

# More marks on one character than anybody writes are cut, see `test_a_flood_of_marks_is_cut`.
FLOOD = re.compile(r"[^\u0020-\u02ff\u3400-\u9fff]{31,}")


# ---- the steps


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("ｉＰｈｏｎｅ　１５，等了①天！", "iPhone 15,等了1天!"),
        ("５㎏装，第Ⅳ代", "5kg装,第IV代"),
        ("豈有此理", "岂有此理"),
        ("ｶﾞｷﾞ", "ガギ"),
        ("e\u0301 각", "é 각"),
        ("١٢٣元", "123元"),
        ("差\u200b评\ufeff好\u00ad吗\u3164", "差评好吗"),
        ("z̶a̶l̶g̶o̶", "zalgo"),
        ("3️⃣星", "3星"),
        ("這個東西壞了", "这个东西坏了"),
        ("笑死😂了", "笑死 笑哭了 了"),
        ("👍🏻", "拇指向上"),
        ("❤️", "红心"),
        ("🤷‍♀️", "耸肩"),
        ("🇨🇳造", "中国 造"),
        ("😡😡😡😡😡", "怒火中烧 怒火中烧 怒火中烧"),
        ("不错[微笑][笑哭R]", "不错 微笑 笑哭"),
        ("［流泪］[doge]", "流泪 doge"),
        ("[手机号]打不通", "[手机号]打不通"),
        ("这是[1]和[ 空 ]", "这是[1]和[ 空 ]"),
        ("哈哈哈哈哈哈", "哈哈哈"),
        ("！！！！！！", "!!!"),
        ("……", "..."),
        ("好吃不贵好吃不贵好吃不贵好吃不贵好吃不贵", "好吃不贵好吃不贵好吃不贵"),
        ("138888888880000000", "138888888880000000"),
        ("1" * 50, "1" * 20),
        ("壞壞坏坏坏", "坏坏坏"),
        ("  前 \t 后  ", "前 后"),
        ("一行\r\n\r\n  二行\u2028三行\n", "一行\n二行\n三行"),
        ("★☆→", "★☆→"),
    ],
)
def test_one_spelling(raw: str, normal: str) -> None:
    assert normalize(raw).text == normal


def test_plain_simplified_text_is_untouched() -> None:
    text = "快递说好三天到，结果一周了。"
    result = normalize(text)
    assert result.text == text.replace("，", ",")
    assert result.offsets == tuple(range(len(text) + 1))
    assert (result.raw_length, result.truncated) == (len(text), False)


def test_version_and_default_cap() -> None:
    assert (NORMALIZER_VERSION, MAX_CHARS) == ("1", 2000)


# ---- offsets


def test_spans_lead_back_to_the_raw_text() -> None:
    raw = "\u200b 這個ｉＰｈｏｎｅ壞了😂！！！！！！真的 \u200b"
    result = normalize(raw)
    assert result.text == "这个iPhone坏了 笑哭了 !!!真的"

    def source(part: str) -> str:
        start = result.text.index(part)
        return raw[slice(*result.raw_span(start, start + len(part)))]

    assert source("这个") == "這個"
    assert source("iPhone") == "ｉＰｈｏｎｅ"
    assert source("笑哭") == "😂"
    assert source("!!!") == "！！！！！！"
    assert source("真的") == "真的"


def test_the_span_of_a_last_emoji_is_not_empty() -> None:
    result = normalize("好🤷‍♀️")
    assert result.raw_span(2, 4) == (1, 5)


# ---- the cap


def test_text_over_the_cap_is_cut_and_says_so() -> None:
    result = normalize("快递慢得很" * 3 + "啊", max_chars=10)
    assert (result.text, result.truncated, result.raw_length) == ("快递慢得很快递慢得很", True, 16)
    assert result.raw_span(0, 10) == (0, 10)


def test_text_that_fits_once_squeezed_is_not_truncated() -> None:
    assert not normalize("好" * 150, max_chars=10).truncated


def test_raw_text_far_over_the_cap_is_cut_before_any_work() -> None:
    result = normalize("好" * 201 + "尾", max_chars=10)
    assert (result.text, result.truncated, result.raw_length) == ("好好好", True, 202)


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^max_chars is at least 1; found 0$") as caught:
        normalize("好", max_chars=0)
    assert caught.value.code == "max_chars_invalid"


# ---- errors


@pytest.mark.parametrize("raw", [None, 3, float("nan"), b"abc", ["好"]])
def test_not_text(raw: object) -> None:
    with pytest.raises(TextError) as caught:
        normalize(raw)  # type: ignore[arg-type]
    assert caught.value.code == "not_text"
    assert caught.value.message == (
        "expected text; found another type or a missing value; give each comment as a string"
    )


@pytest.mark.parametrize("raw", ["", "  \n", "\u200b\ufeff", "\u3000", "\ufe0f", "\u0301"])
def test_empty_text(raw: str) -> None:
    with pytest.raises(TextError) as caught:
        normalize(raw)
    assert caught.value.code == "empty_text"
    assert caught.value.message == "expected a comment; found no visible characters; leave empty rows out"


def test_nul_character() -> None:
    with pytest.raises(TextError) as caught:
        normalize("好\0评")
    assert caught.value.code == "nul_character"
    assert caught.value.message == ("expected text; found a NUL character (U+0000); remove it or check the encoding")


@pytest.mark.parametrize("raw", ["\ud800", "好\udfff评", "\ude00\ud83d", "好" * 90_000 + "\ud800"])
def test_invalid_unicode(raw: str) -> None:
    with pytest.raises(TextError) as caught:
        normalize(raw)
    assert caught.value.code == "invalid_unicode"
    assert caught.value.message == (
        "expected valid Unicode; found a lone surrogate; decode the source as UTF-8 or GB18030 again"
    )


# ---- properties


def _normal(raw: str, max_chars: int = MAX_CHARS) -> str | None:
    try:
        return normalize(raw, max_chars=max_chars).text
    except TextError as error:
        if error.code != "empty_text":
            raise
        return None


@settings(max_examples=1500, deadline=None)
@given(MESSY, st.sampled_from([5, 17, MAX_CHARS]))
@example("打坏打坏打坏打壞", 5)
@example("[[[微笑]]]", MAX_CHARS)
@example("e\u200d\u0301\u20e3", MAX_CHARS)
def test_idempotent_within_the_cap_and_free_of_invisible_characters(raw: str, max_chars: int) -> None:
    text = _normal(raw, max_chars)
    if text is None:
        return
    assert _normal(text, max_chars) == text
    assert 0 < len(text) <= max_chars
    assert unicodedata.is_normalized("NFKC", text)
    assert not [c for c in text if unicodedata.category(c) in ("Cf", "Cc", "Zl", "Zp") and c != "\n"]
    assert text == text.strip()
    assert "  " not in text


@settings(max_examples=800, deadline=None)
@given(MESSY)
@example("\x85[差]")
@example("評")
def test_offsets_are_ordered_and_inside_the_raw_text(raw: str) -> None:
    try:
        result = normalize(raw)
    except TextError:
        return
    assert len(result.offsets) == len(result.text) + 1
    assert list(result.offsets) == sorted(result.offsets)
    assert 0 <= result.offsets[0] <= result.offsets[-1] <= result.raw_length == len(raw)
    spans = [result.raw_span(i, i + 1) for i in range(len(result.text))]
    assert all(start < end for start, end in spans)
    # Only 評 becomes one of these two, and a mark such as [差] its word; nothing else does.
    found = [(char, raw[start]) for char, (start, _) in zip(result.text, spans, strict=True) if char in "评差"]
    assert all(source in (char, "評", "[", "［") for char, source in found)


def test_a_flood_of_marks_is_cut() -> None:
    text, _ = compatible("好" + "\u0315\u0300" * 100 + "评", list(range(203)))
    assert len(text) == 33
    assert text[-1] == "评"


@settings(max_examples=800, deadline=None)
@given(MESSY)
def test_piecewise_nfkc_equals_that_of_the_whole(raw: str) -> None:
    assume(not FLOOD.search(raw))
    text, offsets = compatible(raw, list(range(len(raw) + 1)))
    whole = unicodedata.normalize("NFKC", raw)
    assert text == "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in whole)
    assert len(offsets) == len(text) + 1


@given(
    st.text(alphabet="好1a ", max_size=3),
    st.text(alphabet="好差1a", min_size=1, max_size=4),
    st.integers(1, 8),
    st.text(alphabet="好1a ", max_size=3),
)
def test_every_run_is_squeezed_whatever_stands_around_it(before: str, unit: str, times: int, after: str) -> None:
    text = before + unit * times + after
    kept, offsets = squeezed(text, list(range(len(text) + 1)))
    assert not re.search(r"([^0-9]{1,4})\1{3}|([0-9])\2{20}", kept)
    assert len(offsets) == len(kept) + 1
    if not re.search(r"([^0-9]{1,4})\1{3}|([0-9])\2{20}", text):
        assert kept == text
