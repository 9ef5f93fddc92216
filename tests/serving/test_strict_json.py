"""What counts as JSON here, and what is marked as a flaw."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.problems import RequestProblem
from serving.strict_json import Flaw, find_flaw, parse


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a": NaN}', "non_finite_number"),
        (b'{"a": [1, -Infinity]}', "non_finite_number"),
        (b'{"a": 1e999}', "non_finite_number"),
        (b'{"a": -1e999}', "non_finite_number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "non_finite_number"),
        (b'{"a": {"b": 1, "b": 1}}', "duplicate_key"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
        (b'{"a": "\\ud800"}', "invalid_unicode"),
        (b'{"\\udc00": 1}', "invalid_unicode"),
    ],
)
def test_flaws_are_marked_where_they_stand(body: bytes, code: str) -> None:
    document, clean = parse(body)
    assert clean
    assert find_flaw(document) == Flaw(code)


def test_a_flaw_leaves_its_neighbours_alone() -> None:
    document, _ = parse(b'[{"a": NaN}, {"a": 1}]')
    assert [find_flaw(entry) for entry in document] == [Flaw("non_finite_number"), None]


def test_bytes_of_another_encoding_are_told_apart_from_what_is_clean() -> None:
    document, clean = parse(b'["ok", "' + "好".encode("gbk") + b'"]')
    assert not clean
    assert [find_flaw(entry) for entry in document] == [None, Flaw("invalid_unicode")]


@pytest.mark.parametrize("body", [b"", b"{", b"nul", b"{'a': 1}", b'"\x01"', b"[1,]", b"1 2", b"[" * 100_000])
def test_other_things_are_not_json(body: bytes) -> None:
    with pytest.raises(RequestProblem, match=r"^expected one JSON document; found something else$") as caught:
        parse(body)
    assert caught.value.code == "not_json"


def test_what_is_neither_json_nor_utf8_is_told_to_be_sent_as_utf8() -> None:
    with pytest.raises(RequestProblem) as caught:
        parse("\ufeff{}".encode("utf-16"))
    assert caught.value.code == "not_utf8"
    assert caught.value.message == "expected UTF-8; found other bytes (GBK?); send the body as UTF-8"


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse(b"\xef\xbb\xbf[1]") == ([1], True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_plain_json_comes_through_unchanged(value: object) -> None:
    document, clean = parse(json.dumps(value, ensure_ascii=False).encode())
    assert clean
    assert document == value
    assert find_flaw(document) is None
