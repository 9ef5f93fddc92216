"""models/champion.py: the pointer and the copies beside it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.bundle import ModelBundle
from models.champion import Champion, fankui_home, keep_copy, local_version, previous, read_champion, write_champion
from pipeline.errors import BundleError

ONE = Champion("m", "1", Path("models/m/1"), "aa")
TWO = Champion("m", "2", Path("models/m/2"), "bb")


def test_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert fankui_home({}) == tmp_path / ".fankui"
    assert fankui_home({"FANKUI_HOME": "/srv/fankui"}) == Path("/srv/fankui")


def test_no_champion_yet(tmp_path: Path) -> None:
    assert read_champion(tmp_path) is None
    assert previous(tmp_path) is None


def test_a_new_champion_remembers_the_one_before(tmp_path: Path) -> None:
    write_champion(tmp_path, ONE)
    assert (read_champion(tmp_path), previous(tmp_path)) == (ONE, None)
    write_champion(tmp_path, TWO)
    assert (read_champion(tmp_path), previous(tmp_path)) == (TWO, ONE)


def test_naming_the_champion_again_keeps_the_one_before(tmp_path: Path) -> None:
    for champion in (ONE, TWO, TWO):
        write_champion(tmp_path, champion)
    assert previous(tmp_path) == ONE


def test_the_pointer_is_plain_json_with_a_relative_path(tmp_path: Path) -> None:
    write_champion(tmp_path, ONE)
    assert json.loads((tmp_path / "champion.json").read_bytes()) == {
        "name": "m", "version": "1", "path": "models/m/1", "digest": "aa", "previous": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        "[",
        "[]",
        '{"name": "m"}',
        '{"name": "m", "version": 1, "path": "p", "digest": "d"}',
        '{"name": "m", "version": "1", "path": "/etc", "digest": "d"}',
        '{"name": "m", "version": "1", "path": "models/../../x", "digest": "d"}',
    ],
)
def test_a_spoilt_pointer_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "champion.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BundleError) as raised:
        read_champion(tmp_path)
    assert raised.value.code == "champion_unreadable"
    assert raised.value.message == f"{path} is not a champion pointer; run `fankui promote` again or delete it"


def test_a_copy_is_kept_and_moves_no_pointer(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    home = tmp_path / "home"
    champion = keep_copy(home, tiny_bundle, name="tiny", version="3")
    assert champion == Champion("tiny", "3", Path("models/tiny/3"), tiny_bundle.digest)
    assert sorted(path.name for path in champion.folder(home).iterdir()) == sorted(
        path.name for path in tiny_bundle.path.iterdir()
    )
    assert read_champion(home) is None
    assert keep_copy(home, tiny_bundle, name="tiny", version="3") == champion


def test_a_version_of_ones_own_is_never_taken_for_a_number_of_the_registry(tiny_bundle: ModelBundle) -> None:
    digits = replace(tiny_bundle, manifest={**tiny_bundle.manifest, "digest": "123456789012" + "a" * 52})
    assert local_version(digits) == "sha-123456789012"
    assert Champion("m", local_version(digits), Path("p"), digits.digest).number is None
    assert ONE.number == 1


def test_another_model_under_the_same_version_is_refused(
    tmp_path: Path, write_tiny: Callable[..., ModelBundle]
) -> None:
    home = tmp_path / "home"
    keep_copy(home, write_tiny("one", name="one"), name="tiny", version="3")
    other = write_tiny("two", name="two")
    with pytest.raises(BundleError) as raised:
        keep_copy(home, other, name="tiny", version="3")
    folder = home / "models" / "tiny" / "3"
    assert raised.value.message == f"{folder} holds another model than {other.path}; register it as a new version"


@pytest.mark.parametrize(("name", "version"), [("..", "1"), ("tiny", "../1"), ("反馈", "1"), ("tiny", "")])
def test_a_name_cannot_lead_out_of_the_home(tmp_path: Path, tiny_bundle: ModelBundle, name: str, version: str) -> None:
    with pytest.raises(BundleError, match="64 ASCII letters"):
        keep_copy(tmp_path / "home", tiny_bundle, name=name, version=version)
