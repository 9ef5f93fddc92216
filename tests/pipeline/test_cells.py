import datetime

import numpy as np
import pytest

from pipeline.cells import encodable, flat, flat_notes, format_aspects, guard


def test_aspects_and_labels_fit_into_a_cell() -> None:
    assert flat({"logistics": -1, "product": 1, "price": 0}) == "logistics:-1;product:+1;price:0"
    assert flat(["贵", "慢"]) == "贵;慢"
    assert flat(["a;b", "c"]) == '["a;b", "c"]'


def test_none_at_all_is_not_an_empty_cell() -> None:
    assert (flat({}), flat([]), flat(None)) == ("{}", "[]", None)
    assert format_aspects({}) == "{}"


def test_other_values_are_written_plainly() -> None:
    assert flat(True) == "true"
    assert flat(datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)) == "2024-05-01T00:00:00+00:00"
    assert flat({"city": "成都"}) == '{"city": "成都"}'
    assert flat(np.float32(0.5)) == 0.5
    assert flat(np.array([0.5, 1.0], dtype=np.float16)) == "[0.5, 1.0]"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "  =", "\ufeff="])
def test_every_start_of_a_formula_is_guarded(sign: str) -> None:
    assert guard(f"{sign}cmd|' /C calc'!A0") == f"'{sign}cmd|' /C calc'!A0"


@pytest.mark.parametrize("cell", ["-12.50", "+3", "很好=满意", "好", "", None, -3, 0.5])
def test_numbers_and_ordinary_text_stay(cell: object) -> None:
    assert guard(cell) == cell


def test_lone_surrogates_become_replacement_characters() -> None:
    assert encodable("好\ud800吃😀") == "好\ufffd吃😀"


def test_notes_of_which_there_are_none_are_an_empty_cell() -> None:
    assert (flat_notes([]), flat_notes(()), flat_notes(None), flat_notes(["a", "b"])) == (None, None, None, "a;b")
