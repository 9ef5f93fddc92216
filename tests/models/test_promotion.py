"""models/promotion.py where no registry is at hand: folders, and the pointer that moves without it."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.bundle import ModelBundle
from models.champion import keep_copy, previous, read_champion, write_champion
from models.promotion import align_registry, promote, rollback
from pipeline.errors import ConfigError, FeedbackError, UsageError

NOT_KEPT = "no copy of {} is kept in {{home}}; kept are: tiny/{{kept}} (fankui promote fetches others)"


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


def test_rollback_to_a_version_may_be_repeated_and_to_the_previous_one_toggles(
    home: Path, write_tiny: Callable[..., ModelBundle]
) -> None:
    one, two = (promote(str(write_tiny(name, name=name).path), home=home) for name in ("one", "two"))
    for _ in range(2):
        assert rollback(home=home, to=f"one/{one.version}") == one
        assert read_champion(home) == one
        assert previous(home) == two
    spoilt = home / "models" / "spoilt" / "1"
    spoilt.mkdir(parents=True)  # an empty copy of something else is in nobody's way
    assert rollback(home=home, to=f"one/{one.version}") == one
    assert rollback(home=home) == two
    assert rollback(home=home) == one


@pytest.mark.parametrize(
    ("to", "error", "message"),
    [
        ("tiny/9", ConfigError, NOT_KEPT.format("tiny/9")),
        ("../../x", ConfigError, NOT_KEPT.format("../../x")),
        ("tiny", UsageError, "--to is NAME/VERSION of a model that was champion here; found 'tiny'"),
    ],
)
def test_rollback_to_what_is_not_kept_moves_nothing(
    home: Path, tiny_bundle: ModelBundle, to: str, error: type[FeedbackError], message: str
) -> None:
    champion = promote(str(tiny_bundle.path), home=home)
    with pytest.raises(error) as caught:
        rollback(home=home, to=to)
    assert caught.value.message == message.format(home=home, kept=champion.version)
    assert read_champion(home) == champion


def test_without_mlflow_the_aliases_are_a_warning(
    home: Path, tiny_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_champion(home, keep_copy(home, tiny_bundle, name="tiny", version="3"))
    monkeypatch.delitem(sys.modules, "models.registry", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert align_registry(home, repair="fankui rollback --to tiny/3") == (
        "the champion here is tiny/3, but the registry's aliases do not say so: mlflow is not installed; "
        "`fankui rollback --to tiny/3` aligns them, `fankui models list` shows them"
    )


def test_the_shipped_model_can_be_promoted_by_its_name(tmp_path: Path) -> None:
    champion = promote("default", home=tmp_path)
    assert champion.name == "fankui-default"
    assert read_champion(tmp_path) == champion
