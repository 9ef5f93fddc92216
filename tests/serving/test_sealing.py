"""What is sealed opens with its key, for its comment, and no other way."""

import base64

import pytest

from pipeline.errors import ConfigError
from serving.problems import RequestProblem
from serving.sealing import Seal, read_keys

# Not by chance: keys stand in the names of tests, which every test process must know alike.
OLD, NEW = bytes(range(32)), bytes(range(100, 132))


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_there_and_back_with_every_key_that_is_known() -> None:
    old = read_keys(f"2025:{encoded(OLD)}")
    sealed = old.close("电话13800138000".encode(), bound_to="工单-7")
    assert b"13800138000" not in sealed
    assert old.close(b"x", bound_to="a") != old.close(b"x", bound_to="a")
    both = read_keys(f"2026:{encoded(NEW)}, 2025:{encoded(OLD)}")
    assert both.open(sealed, bound_to="工单-7").decode() == "电话13800138000"
    newer = both.close(b"x", bound_to="a")
    assert newer[2:6] == b"2026"
    assert read_keys(f"2026:{encoded(NEW)}").open(newer, bound_to="a") == b"x"
    with pytest.raises(RequestProblem):
        old.open(newer, bound_to="a")


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_nothing_altered_opens(at: int) -> None:
    seal = Seal({"2025": OLD})
    sealed = bytearray(seal.close(b"some thirty bytes of plain text", bound_to="a"))
    sealed[at] ^= 1
    with pytest.raises(RequestProblem) as refused:
        seal.open(bytes(sealed), bound_to="a")
    assert refused.value.code == "original_sealed"


@pytest.mark.parametrize("cut", [0, 1, 2, 5, 17, 40])
def test_nothing_cut_and_nothing_of_another_comment_opens(cut: int) -> None:
    seal = Seal({"2025": OLD})
    sealed = seal.close(b"some thirty bytes of plain text", bound_to="a")
    for altered, id_ in ((sealed[:cut], "a"), (sealed, "b")):
        with pytest.raises(RequestProblem):
            seal.open(altered, bound_to=id_)
    with pytest.raises(RequestProblem):
        Seal({"2025": NEW}).open(sealed, bound_to="a")


@pytest.mark.parametrize(
    "value",
    [None, "", "a", "a:", "a:AAAA", f"a:{encoded(OLD)}!", f":{encoded(OLD)}", f"a:{encoded(OLD)},", encoded(OLD),
     f"a:{encoded(OLD)},a:{encoded(NEW)}", f"{'x' * 33}:{encoded(OLD)}"],
)  # fmt: skip
def test_keys_that_are_none_are_told_without_them(value: str | None) -> None:
    with pytest.raises(ConfigError) as refused:
        read_keys(value)
    assert refused.value.code == "raw_keys_invalid"
    assert refused.value.message == (
        "--keep-raw: expected FANKUI_RAW_KEYS to hold NAME:KEY, where KEY is 32 random bytes in base64 "
        "(openssl rand -base64 32); several separated by commas, the one to seal with first"
    )
