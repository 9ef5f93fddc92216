"""Offsets survive edits and compositions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment import compose, identity, rewrite, source_span


def test_rewrite_gives_each_new_character_the_start_of_its_edit() -> None:
    text, offsets = rewrite("快递😂慢", identity(4), [(2, 3, "笑哭")])
    assert (text, offsets) == ("快递笑哭慢", [0, 1, 2, 2, 3, 4])


def test_rewrite_without_edits_gives_back_the_same_objects() -> None:
    offsets = identity(2)
    assert rewrite("好的", offsets, [])[1] is offsets


def test_a_span_within_an_expansion_leads_to_the_whole_source() -> None:
    _, offsets = rewrite("快递😂慢", identity(4), [(2, 3, "笑哭")])
    assert source_span(offsets, 2, 3) == source_span(offsets, 3, 4) == (2, 3)
    assert source_span(offsets, 1, 3) == (1, 3)


def test_an_empty_span_is_a_place() -> None:
    assert source_span(identity(3), 2, 2) == (2, 2)
    assert source_span(identity(3), 3, 3) == (3, 3)


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (0, 4)])
def test_a_span_outside_the_text_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=f"^span {start}:{end} is not inside a text of 3 characters$"):
        source_span(identity(3), start, end)


@given(st.text(alphabet="ab好", max_size=30))
def test_two_changes_compose_to_what_one_after_the_other_gives(text: str) -> None:
    middle, outer = rewrite(text, identity(len(text)), [(m.start(), m.end(), "") for m in re.finditer("a", text)])
    direct, direct_offsets = rewrite(middle, outer, [(m.start(), m.end(), "xyz") for m in re.finditer("b", middle)])
    inner_text, inner = rewrite(
        middle, identity(len(middle)), [(m.start(), m.end(), "xyz") for m in re.finditer("b", middle)]
    )
    assert inner_text == direct
    assert compose(tuple(outer), tuple(inner)) == tuple(direct_offsets)
