"""What is kept instead of customers' own data."""

import pytest

from serving.store.redaction import pseudonym, redacted_metadata, redacted_note, redacted_text

SECRET = b"s" * 32


def test_references_that_are_somebodys_get_a_name_of_their_own() -> None:
    found = pseudonym("13800138000", SECRET)
    assert found is not None
    assert found.startswith("[手机号]")
    assert "13800138000" not in found
    assert found == pseudonym("13800138000", SECRET)
    assert len({found, pseudonym("13800138001", SECRET), pseudonym("13800138000", b"t" * 32)}) == 3


@pytest.mark.parametrize("name", [None, "", "user-77", "张三的店", "\u200b"])
def test_others_stay(name: str | None) -> None:
    assert pseudonym(name, SECRET) == name


def test_metadata_is_masked_at_any_depth_keys_and_numbers_too() -> None:
    value = {"13800138000": [1, 2.5, None, True, {"tel": "电话 138 0013 8000"}], "n": 13800138000, "订单": "A１"}
    assert redacted_metadata(value) == {
        "[手机号]": [1, 2.5, None, True, {"tel": "电话 [手机号]"}],
        "n": "[手机号]",
        "订单": "A１",  # where nothing is found it stays as it was written
    }


def test_a_number_at_any_seam_is_masked() -> None:
    for at in range(1985, 2003):
        filling = "".join(chr(0x4E00 + i * 7 % 5000) for i in range(at))
        assert "[手机号]" in redacted_text(f"{filling}13800138000急{filling}")


def test_notes() -> None:
    assert redacted_note(None) is None
    assert redacted_note(" \u200b") is None
    assert redacted_note("回电13800138000") == "回电[手机号]"
