"""models/cli_registry.py: what is known here, and which model answers."""

import json
import sys
from pathlib import Path

import pytest

import fankui
from models.bundle import ModelBundle
from models.promotion import promote

pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("FANKUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


def test_list_tells_champion_and_shipped_model(
    home: Path, tiny_bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(str(tiny_bundle.path), home=home)
    assert fankui.run(["models", "list", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    assert known[0] == {
        "model": str(home / "models" / "tiny" / f"sha-{tiny_bundle.digest[:12]}"),
        "kind": "linear",
        "roles": ["champion", "local copy"],
        "digest": tiny_bundle.digest,
    }
    assert [model["roles"] for model in known if model["model"] == "default"] == [["shipped"]]
    assert fankui.run(["models", "list"]) == 0
    assert "champion, local copy" in capsys.readouterr().out


def test_show_prints_the_card_and_the_figures(tiny_bundle: ModelBundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert fankui.run(["models", "show", str(tiny_bundle.path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model_version"] == tiny_bundle.version
    assert document["tasks"]["mood"] == ["bad", "ok", "fine"]
    assert document["metrics"] == {"dev/mood/accuracy": 0.5}
    assert fankui.run(["models", "show", str(tiny_bundle.path)]) == 0
    assert tiny_bundle.version in capsys.readouterr().out


def test_rollback_without_a_previous_champion_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fankui.run(["rollback"]) == 1
    assert capsys.readouterr().err == (
        f"fankui: there is no previous champion in {home}; promote a model twice first\n"
    )


@pytest.mark.parametrize(
    ("uri", "missing", "told"),
    [
        ("sqlite:////proc/nowhere/x.db", "", "MLflow at sqlite:////proc/nowhere/x.db does not answer"),
        ("sqlite:///mlflow.db", "sqlalchemy", "a registry in a database (sqlite:///mlflow.db) needs more of mlflow"),
    ],
)
def test_list_tells_what_lies_here_when_the_registry_cannot_be_asked(
    uri: str, missing: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from models import registry

    def lacking(_uri: str) -> None:
        raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
        monkeypatch.setattr(registry.mlflow, "MlflowClient", lacking)
    assert fankui.run(["models", "list", "--json"]) == 0
    captured = capsys.readouterr()
    assert [model["model"] for model in json.loads(captured.out)] == ["default"]
    assert captured.err.splitlines()[-1].startswith(f"fankui: only what lies here is listed: {told}")
