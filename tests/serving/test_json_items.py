"""Items out of a file piece by piece: the same as parsed at once, wherever a piece ends."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import json_items as module
from serving.json_items import json_items
from serving.problems import RequestProblem
from serving.strict_json import Flaw, find_flaw

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("items") / "upload.json"


@given(
    items=st.lists(VALUES, max_size=8), indent=st.sampled_from([None, 1]), ascii_=st.booleans(), read=st.integers(1, 9)
)
def test_items_are_those_of_a_parse_at_once(
    path: Path, items: list[Any], indent: int | None, ascii_: bool, read: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_READ", read)
        text = json.dumps({"items": items}, indent=indent, ensure_ascii=ascii_)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        found = list(json_items(path))
    assert found == items


@pytest.mark.parametrize("number", ["1.5", "-1.25e+17", "1E-05", "123", "0"])
@pytest.mark.parametrize("read", range(1, 24))
def test_numbers_are_whole_wherever_a_piece_ends(
    path: Path, number: str, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ", read)
    path.write_text(f'{{"items": [{number}, [{number}], {number}]}}')
    assert list(json_items(path)) == [json.loads(number), [json.loads(number)], json.loads(number)]


@given(body=st.binary(max_size=60), read=st.integers(1, 9))
def test_no_bytes_are_more_than_refused(path: Path, body: bytes, read: int) -> None:
    for start in (b"", b'{"items": ['):
        path.write_bytes(start + body)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_READ", read)
            with suppress(RequestProblem):
                list(json_items(path))


def test_flaws_stand_where_they_are(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf{"items": [{"text": "\xc4\xe3"}, NaN, {"a": 1, "a": 2}, "ok"]}')
    broken, number, twice, good = json_items(path)
    flaw = find_flaw(broken)
    assert flaw is not None
    assert flaw.code == "invalid_unicode"
    assert [number, twice, good] == [Flaw("non_finite_number"), Flaw("duplicate_key"), "ok"]


def test_an_item_without_an_end_is_not_read_to_its_end(path: Path) -> None:
    path.write_bytes(b'{"items": ["' + b"x" * (8 << 20))
    with pytest.raises(RequestProblem, match="each item of at most 1,048,576 characters"):
        list(json_items(path))
