"""models/resolving.py: which model answers."""

from pathlib import Path

import pytest

from models.bundle import ModelBundle
from models.champion import keep_copy, write_champion
from models.loading import ResolvedModel
from models.resolving import resolve_model
from pipeline.errors import BundleError
from pipeline.resources import shipped


def test_the_option_comes_first(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    found = resolve_model(str(tiny_bundle.path), environment={"FANKUI_MODEL": "/nowhere", "FANKUI_HOME": str(tmp_path)})
    assert found == ResolvedModel(tiny_bundle.path, None, "option")


def test_then_the_environment(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    write_champion(tmp_path, keep_copy(tmp_path, tiny_bundle, name="tiny", version="1"))
    found = resolve_model(environment={"FANKUI_MODEL": str(tiny_bundle.path), "FANKUI_HOME": str(tmp_path)})
    assert found == ResolvedModel(tiny_bundle.path, None, "FANKUI_MODEL")


def test_then_the_champion_with_its_digest(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    write_champion(tmp_path, keep_copy(tmp_path, tiny_bundle, name="tiny", version="4"))
    found = resolve_model(environment={"FANKUI_HOME": str(tmp_path)})
    assert found == ResolvedModel(tmp_path / "models/tiny/4", "tiny/4", "champion", tiny_bundle.digest)


def test_then_what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: ModelBundle) -> None:
    monkeypatch.setattr("models.resolving.shipped", lambda *parts: tiny_bundle.path)
    assert resolve_model(environment={"FANKUI_HOME": str(tmp_path)}) == ResolvedModel(tiny_bundle.path, None, "default")
    assert resolve_model("default", environment={"FANKUI_MODEL": "/nowhere"}).origin == "default"


def test_nothing_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.resolving.shipped", lambda *parts: tmp_path / "none")
    with pytest.raises(BundleError) as raised:
        resolve_model(environment={"FANKUI_HOME": str(tmp_path)})
    assert raised.value.code == "no_model"
    assert raised.value.message == (
        "no model was named, promoted or shipped; train one with `fankui train` and give --model FOLDER"
    )


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(BundleError) as raised:
        resolve_model("no/such/model", environment={})
    assert raised.value.message == (
        "no model folder at no/such/model; give a bundle's folder, 'default', or models:/NAME@ALIAS"
    )


def test_the_default_lies_beside_the_code() -> None:
    assert shipped("models", "default").parent == Path(__file__).parents[2] / "models"
