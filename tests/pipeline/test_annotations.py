import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.annotations import (
    KEY_VERSION,
    Annotation,
    Match,
    PublicRow,
    annotation_key,
    excerpt,
    join_texts,
    match_texts,
    read_annotations,
)
from pipeline.errors import DataError

# Frozen with version 1: a key that changes finds no text any more.
FROZEN = {
    "等了五天还没发货！！": "2cbd70a00c2aff4d80a6be6bf8fa3f2c497d66237c11810f5d659d0a171ff364",
    "ＡＢＣ１２３元": "2b6c380ac336292f49b2d4749b905da229328fd586157316e1e17ba9ef7b2012",  # full width
    "鍋子用一次就掉漆，客服還不理人": "b866c359df81bc13b47917591ea81eba0cc4350196edc346f920f6746ffbe64f",
    "😡😡差评👎": "a6d7063f55c0564c686c3e7b376b57d4f384beb136e1322da940290a70137158",
    "Wi-Fi 2.4㎓ 连不上": "f460d0e78a4f0a47e2c1e5c163f57a8710fe6a7c1d464cd3bbcef67213bdd763",
    "洗衣机☎️①号线漏水": "fa3314cdfad7d10e03f92fddc9c7d58aa3205fdebb91072efe707ba65a0d2661",  # its selector stays
    "𠮷野家的𪚥字": "961f4dbca1e4e2a7cb7c8502b53ab7d6b60dc6aa60fd55c47382321309a6535d",  # beyond the first plane
    "e\u0301t\u00e9 不错": "5752f90fd8b0a71a0d2bb5750180524135cf684e239e60a5843bf0d5b70e1594",
    "好。" * 200: "6e8e776579b4692df909bf3b3750ba9334fff5ad73ba8257aead38615bd55947",
    "，".join(f"第{i}条" for i in range(200)): "bd41da7db49b86091dff13a7d6a365e2daf283298636435c0f1430e28f249e86",
}
WORDS = "锅盖烫手而且漏气"


def key(text: str) -> str:
    made = annotation_key(text)
    assert made is not None
    return made


def annotation(text: str, *, id: str = "A1", source: str = "shop", **labels: Any) -> Annotation:  # noqa: A002
    return Annotation(key(text), id, source, "random", labels or {"sentiment": "negative"})


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_keys_are_frozen() -> None:
    assert KEY_VERSION == "1"
    assert {text: annotation_key(text) for text in FROZEN} == FROZEN


def test_a_key_is_the_sha256_of_the_words() -> None:
    words = "第一次买就漏水退货"
    digest = hashlib.sha256(words.encode()).hexdigest()
    for text in (words, "第一次买，就漏水！退货…", "  第一次买\t就漏水\u3000退 货\u200b", "【第一次买】就漏水+退货😡"):
        assert annotation_key(text) == digest


@pytest.mark.parametrize(
    "text", ["", " \n\u3000", "。。。！？", "👍👍", "\u200b\ufeff", "\x00", "\ud83d", "\U000f0000"]
)
def test_without_words_there_is_no_key(text: str) -> None:
    assert annotation_key(text) is None


def test_300_characters_make_the_key_and_of_them_280_words() -> None:
    assert key("好" * 280) == key("好" * 280 + "坏" * 100)
    assert key("好" * 279) != key("好" * 280)
    dotted = "好。" * 150
    assert key(dotted) == key(dotted + "坏") == key("好" * 150)


@given(st.text())
def test_any_text_has_the_key_of_its_excerpt(text: str) -> None:
    assert annotation_key(excerpt(text)) == annotation_key(text)
    assert len(excerpt(text)) <= 300
    assert excerpt(excerpt(text)) == excerpt(text).rstrip()


@given(st.lists(st.text(alphabet="锅盖烫手ab1，。 \n", max_size=40)), st.sampled_from(["", "\n", "\u3000 "]))
def test_an_excerpt_is_the_beginning_of_the_whole_without_white_space(parts: list[str], between: str) -> None:
    text = between.join(parts) * 8
    assert excerpt(text) == " ".join(text.split())[:300]


@given(st.text(alphabet="锅盖烫手漏气abc123", min_size=1, max_size=60), st.text(alphabet="，。！ \n😡~", max_size=60))
def test_marks_and_blanks_do_not_count(words: str, marks: str) -> None:
    mixed = "".join(a + b for a, b in zip(words, marks.ljust(len(words)), strict=False))
    assert key(mixed) == key(words)


def test_a_file_is_read(tmp_path: Path) -> None:
    row = {"key": key(WORDS), "id": "A1", "source": "shop", "draw": "hot", "aspects": {"safety": -1}, "urgency": "high"}
    (found,) = read_annotations(written(tmp_path, row))
    assert found == Annotation(key(WORDS), "A1", "shop", "hot", {"aspects": {"safety": -1}, "urgency": "high"})
    assert found.with_text(WORDS) == {
        "id": "A1",
        "source": "shop",
        "draw": "hot",
        "text": WORDS,
        "aspects": {"safety": -1},
        "urgency": "high",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "00ff"}, "expected a key of 64 hexadecimal digits; make it with pipeline.annotations.annotation_key"),
        ({"id": 7}, "expected a string as 'id'; make the line as data/annotations/README.md says"),
        ({"source": None}, "expected a string as 'source'; make the line as data/annotations/README.md says"),
        ({"text": "好"}, "expected labels without a text, found the column 'text'; such a file needs no join"),
    ],
)
def test_a_bad_line_is_told_by_its_number(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    good = {"key": key(WORDS), "id": "A1", "source": "shop", "draw": "hot"}
    path = written(tmp_path, good, {**good, **change})
    with pytest.raises(DataError) as caught:
        read_annotations(path)
    assert caught.value.code == "annotations_invalid"
    assert caught.value.message == f"{path}, row 2: {message}"


def test_a_line_that_is_no_json_is_told(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("[]\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_annotations(path)
    assert caught.value.message == f"{path}, row 1: expected a JSON object, found an array"


def test_the_first_of_like_texts_is_taken() -> None:
    rows = [
        PublicRow("a", "all", 1, ("别的",)),
        PublicRow("a", "all", 2, (f"{WORDS}！",)),
        PublicRow("b", "x", 9, (WORDS,)),
    ]
    assert match_texts({key(WORDS)}, rows) == {key(WORDS): Match(f"{WORDS}！", "a/all:2")}


def test_texts_that_only_begin_alike_are_ambiguous() -> None:
    begin = WORDS * 40
    rows = [
        PublicRow("a", "all", 1, (begin + "退货",)),
        PublicRow("a", "all", 2, (begin + "不退货", begin + "退货。")),
        PublicRow("b", "all", 3, (begin + "不退货",)),
    ]
    (match,) = match_texts({key(begin)}, rows).values()
    assert match == Match(begin[:300], "a/all:1", ("a/all:2",))


def test_two_texts_of_one_row_are_not_ambiguous() -> None:
    begin = WORDS * 40
    row = PublicRow("a", "all", 1, (begin + "\\n退货", begin + "退货"))
    (match,) = match_texts({key(begin)}, [row]).values()
    assert match.others == ()


def test_joined_rows_keep_the_order_of_the_labels() -> None:
    annotations = [
        annotation("第二", id="A2", urgency="low"),
        annotation("没有了", id="A3", source="bank"),
        annotation("第一", id="A1"),
    ]
    matches = {key("第一"): Match("第一。", "a/all:1", ("a/all:5",)), key("第二"): Match("第二", "a/all:2")}
    joined = join_texts(annotations, matches)
    assert joined.rows == (
        {"id": "A2", "source": "shop", "draw": "random", "text": "第二", "urgency": "low"},
        {"id": "A1", "source": "shop", "draw": "random", "text": "第一。", "sentiment": "negative"},
    )
    assert joined.share == 2 / 3
    assert joined.to_dict() == {
        "rows": 3,
        "matched": 2,
        "missing": ["A3"],
        "ambiguous": {"A1": ["a/all:1", "a/all:5"]},
        "sources": {
            "shop": {"rows": 2, "matched": 2, "missing": 0, "ambiguous": 1},
            "bank": {"rows": 1, "matched": 0, "missing": 1, "ambiguous": 0},
        },
    }


def test_a_file_without_rows_lacks_nothing() -> None:
    assert join_texts([], {}).share == 1.0
