"""models/promotion.py where no registry is at hand: folders, and the pointer that moves without it."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from models.bundle import ModelBundle
from models.champion import read_champion
from models.promotion import promote


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "home"


def with_digits_only(bundle: ModelBundle, folder: Path) -> Path:
    """A copy of the bundle under the first of many names that gives its digest twelve decimal digits at the front."""
    shutil.copytree(bundle.path, folder)
    body = {key: value for key, value in bundle.manifest.items() if key != "digest"}
    for i in range(20_000):
        body["name"] = f"m{i}"
        digest = hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
        if digest[:12].isdecimal():
            break
    (folder / "manifest.json").write_text(json.dumps(body | {"digest": digest}), encoding="utf-8")
    return folder


def test_a_folder_whose_digest_looks_like_a_number_is_no_registered_version(
    home: Path, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    champion = promote(str(with_digits_only(tiny_bundle, tmp_path / "digits")), home=home)
    assert champion.digest[:12].isdecimal()
    assert champion.number is None
    assert champion.path == Path("models", champion.name, f"sha-{champion.digest[:12]}")
    assert read_champion(home) == champion
    assert not (tmp_path / "mlflow.db").exists()
