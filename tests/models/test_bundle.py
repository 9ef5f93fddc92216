"""models/bundle.py: a bundle is whole, unaltered and fit for here, or it does not open."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.bundle import ModelBundle, open_bundle, write_bundle
from models.calibration import Calibration
from models.linear import LinearModel
from pipeline.errors import BundleError
from pipeline.schema import LabelSchema, schema_from_dict


def refused(folder: Path, schema: LabelSchema | None = None) -> BundleError:
    with pytest.raises(BundleError) as raised:
        open_bundle(folder, schema=schema)
    return raised.value


def forge(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and make its own digest right again, as somebody who means harm would."""
    from models.bundle import _digest

    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    manifest["digest"] = _digest({key: value for key, value in manifest.items() if key != "digest"})
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_what_was_written_is_read(tiny_bundle: ModelBundle, tiny_schema: LabelSchema) -> None:
    opened = open_bundle(tiny_bundle.path, schema=tiny_schema)
    assert opened == tiny_bundle
    assert (opened.kind, opened.name) == ("linear", "tiny")
    assert opened.version == f"tiny@{opened.digest[:12]}"
    assert opened.schema == tiny_schema
    assert opened.json("metrics.json") == {"dev/mood/accuracy": 0.5}
    assert sorted(path.name for path in tiny_bundle.path.iterdir()) == [
        "calibration.json", "card.md", "config.json", "manifest.json", "metrics.json", "schema.json",
        "vocabulary.json", "weights.safetensors",
    ]  # fmt: skip


def test_the_same_model_has_the_same_version_wherever_it_lies(write_tiny: Callable[..., ModelBundle]) -> None:
    assert write_tiny("one").version == write_tiny("two").version
    assert write_tiny("three", name="other").digest != write_tiny("four").digest


def test_a_bundle_is_never_written_over(tiny_bundle: ModelBundle, write_tiny: Callable[..., ModelBundle]) -> None:
    with pytest.raises(BundleError, match="a bundle is never changed, name another folder"):
        write_tiny()


@pytest.mark.parametrize("file", ["weights.safetensors", "schema.json", "calibration.json", "card.md", "config.json"])
def test_a_swapped_byte_is_found(tiny_bundle: ModelBundle, file: str) -> None:
    path = tiny_bundle.path / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    error = refused(tiny_bundle.path)
    assert error.code == "bundle_altered"
    assert error.message == f"{path} is not the file that manifest.json names; restore the bundle"


def test_a_file_of_another_size_is_found_before_any_is_hashed(
    tiny_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr("models.bundle._sha256", read)
    path = tiny_bundle.path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    error = refused(tiny_bundle.path)
    whole = tiny_bundle.manifest["files"]["weights.safetensors"]["size"]
    assert error.code == "bundle_altered"
    assert error.message == f"{path} has 100 bytes, and {whole} in manifest.json; restore the bundle"


@pytest.mark.parametrize("entry", [{"sha256": "0"}, {"sha256": "0", "size": "1"}, {"size": 1}])
def test_a_manifest_whose_files_lack_a_size_or_a_sum_is_refused(
    tiny_bundle: ModelBundle, entry: dict[str, Any]
) -> None:
    forge(tiny_bundle.path, lambda manifest: manifest["files"].update({"card.md": entry}))
    assert refused(tiny_bundle.path).code == "bundle_unreadable"


def test_a_changed_manifest_is_found(tiny_bundle: ModelBundle) -> None:
    path = tiny_bundle.path / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"name": "tiny"', '"name": "tinx"'), encoding="utf-8")
    assert refused(tiny_bundle.path).message == f"{path} does not fit its own digest; restore the bundle"


def test_an_extra_pickle_is_refused(tiny_bundle: ModelBundle) -> None:
    extra = tiny_bundle.path / "extra.pkl"
    extra.write_bytes(b"\x80\x04.")
    error = refused(tiny_bundle.path)
    assert error.code == "bundle_unlisted"
    assert error.message == f"{extra} is not listed in manifest.json; a bundle holds nothing else"


def test_an_extra_pickle_is_refused_even_when_listed(tiny_bundle: ModelBundle) -> None:
    (tiny_bundle.path / "extra.pkl").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    forge(tiny_bundle.path, lambda manifest: manifest["files"].update({"extra.pkl": {"sha256": empty, "size": 0}}))
    error = refused(tiny_bundle.path)
    assert error.code == "bundle_files"
    assert error.message.endswith("too many or missing: extra.pkl")


def test_a_folder_inside_is_refused(tiny_bundle: ModelBundle) -> None:
    (tiny_bundle.path / "more").mkdir()
    assert refused(tiny_bundle.path).code == "bundle_unlisted"


def test_a_symbolic_link_is_refused(tiny_bundle: ModelBundle) -> None:
    path = tiny_bundle.path / "card.md"
    elsewhere = tiny_bundle.path.parent / "card.md"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert refused(tiny_bundle.path).message == f"{path} is a symbolic link; a bundle holds plain files only"


@pytest.mark.parametrize("outside", ["../card.md", "/etc/passwd", "a/b", "..", "a\\b"])
def test_a_path_outside_is_refused(tiny_bundle: ModelBundle, outside: str) -> None:
    forge(tiny_bundle.path, lambda manifest: manifest["files"].update({outside: {"sha256": "0", "size": 0}}))
    error = refused(tiny_bundle.path)
    assert error.code == "bundle_path"
    assert error.message == f"manifest.json names {outside!r}, which is not a plain file of the bundle"


def test_a_missing_file_is_named(tiny_bundle: ModelBundle) -> None:
    path = tiny_bundle.path / "weights.safetensors"
    path.unlink()
    assert refused(tiny_bundle.path).message == f"{path} is missing, though manifest.json lists it"


def test_a_folder_that_was_not_written_to_its_end_is_refused(tiny_bundle: ModelBundle) -> None:
    (tiny_bundle.path / "manifest.json").unlink()
    error = refused(tiny_bundle.path)
    assert error.message == f"{tiny_bundle.path} has no manifest.json: it is no bundle, or was not written to its end"


def test_no_folder(tmp_path: Path) -> None:
    error = refused(tmp_path / "none")
    assert error.message == f"no model folder at {tmp_path / 'none'}; give the folder that holds manifest.json"


@pytest.mark.parametrize("content", ["[", "[" * 100_000, "\udcff"])
def test_a_manifest_that_is_no_json(tiny_bundle: ModelBundle, content: str) -> None:
    path = tiny_bundle.path / "manifest.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert refused(tiny_bundle.path).message == f"{path} is not valid JSON"


def test_a_manifest_of_the_future(tiny_bundle: ModelBundle) -> None:
    forge(tiny_bundle.path, lambda manifest: manifest.update(format=2))
    assert refused(tiny_bundle.path).message.endswith("this program reads format 1; found 2")


def test_another_schema_is_refused(tiny_bundle: ModelBundle) -> None:
    plain = tiny_bundle.schema.to_dict()
    plain["tasks"]["mood"]["labels"].reverse()
    error = refused(tiny_bundle.path, schema_from_dict(plain))
    assert error.code == "schema_mismatch"
    assert error.message.endswith("was trained for other labels: task 'mood' differs from the schema that was given")


def test_names_and_definitions_of_labels_may_change(tiny_bundle: ModelBundle) -> None:
    plain = tiny_bundle.schema.to_dict()
    plain["tasks"]["mood"]["zh"] = "情绪"
    assert open_bundle(tiny_bundle.path, schema=schema_from_dict(plain)).schema.task("mood").zh == "心情"


def test_another_normalizer_is_refused(tiny_bundle: ModelBundle) -> None:
    forge(tiny_bundle.path, lambda manifest: manifest["text"].update(normalizer="99"))
    assert refused(tiny_bundle.path).code == "normalizer_unknown"


@pytest.mark.parametrize("name", ["", "../up", "a b", "反馈", "x" * 65, ".hidden"])
def test_a_name_that_cannot_be_a_folder_is_refused(tiny_model: LinearModel, tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="a model's name is up to 64 ASCII letters"):
        write_bundle(
            tmp_path / "bundle",
            kind="linear",
            name=name,
            schema=tiny_model.schema,
            calibration=Calibration(),
            files=tiny_model.files(),
            metrics={},
            card="",
        )
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_nothing(tiny_model: LinearModel, tmp_path: Path) -> None:
    files: dict[str, Path | bytes] = {**tiny_model.files(), "vocabulary.json": tmp_path / "does-not-exist"}
    with pytest.raises(FileNotFoundError):
        write_bundle(
            tmp_path / "bundle",
            kind="linear",
            name="tiny",
            schema=tiny_model.schema,
            calibration=Calibration(),
            files=files,
            metrics={},
            card="",
        )
    assert list(tmp_path.iterdir()) == []
