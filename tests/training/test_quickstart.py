"""training/quickstart.py: the whole way on a handful of rows; .ci/run does it on the real samples."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import fankui
import pipeline.resources
from models.champion import read_champion
from models.promotion import promote
from pipeline.feedback import Example
from training import quickstart
from training.progress import Silent

pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture
def few_samples(tmp_path: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped files, but two dozen samples instead of 1,280."""
    folder = tmp_path / "samples"
    folder.mkdir()
    for part, rows in (("train", examples[:16]), ("dev", examples[12:20]), ("test", examples[16:])):
        lines = [json.dumps({"text": row.text, **row.labels}, ensure_ascii=False) for row in rows]
        (folder / f"{part}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    real: Callable[..., Path] = pipeline.resources.shipped

    def shipped(*parts: str) -> Path:
        return folder if parts == ("data", "samples") else real(*parts)

    monkeypatch.setattr(pipeline.resources, "shipped", shipped)
    return folder


@pytest.mark.slow
def test_trains_compares_and_tells_where_to_look(
    few_samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FANKUI_HOME", str(tmp_path / "home"))
    code = fankui.run(["quickstart", "--json"])
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["linear"].startswith("fankui-quickstart@")
    assert document["network"].startswith("fankui-quickstart@")
    assert set(document["comparison"]["headlines"]) == {
        "sentiment/macro_f1",
        "category/macro_f1",
        "aspects/f1",
        "urgency/qwk",
    }
    # So few rows may well fail the gate; then nothing was promoted, and the exit code says so.
    champion = read_champion(tmp_path / "home")
    assert (code, champion is None) in ((0, False), (3, True))
    assert document["gate"]["passed"] is (code == 0)
    assert (tmp_path / "mlflow.db").exists()


def test_somebodys_own_champion_is_not_replaced(tmp_path: Path, linear_bundle: Path) -> None:
    own = promote(str(linear_bundle), home=tmp_path)
    told: list[str] = []

    class Heard(Silent):
        def say(self, message: str) -> None:
            told.append(message)

    why = f"{tmp_path} has a champion already, small/{own.version}, which a quick start does not replace"
    # A folder that could be promoted, so that only the champion's name is in the way.
    assert quickstart.settle(str(linear_bundle), home=tmp_path, progress=Heard()) == why
    assert told == [f"not promoted: {why}"]
    assert read_champion(tmp_path) == own


def test_its_own_champion_is_replaced(tmp_path: Path, linear_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickstart, "NAME", "small")
    for _ in range(2):
        assert quickstart.settle(str(linear_bundle), home=tmp_path, progress=Silent()) is None
    assert read_champion(tmp_path) is not None


def contest(*, promoted: bool, why: str | None) -> quickstart.Contest:
    better: Any = SimpleNamespace(version="fankui-quickstart/2", folder="runs/b")
    nothing: Any = None
    return quickstart.Contest(better, better, nothing, better, nothing, promoted, why)


def test_the_last_lines_name_the_real_places_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:hu@nter2@db/mlflow")
    monkeypatch.setenv("FANKUI_HOME", "/srv/models")
    console = Console(file=io.StringIO(), width=200)
    quickstart._where_to_look(console, contest(promoted=True, why=None))
    quickstart._where_to_look(console, contest(promoted=False, why="taken"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "nter2" not in text
    assert "mlflow ui --backend-store-uri postgresql://…@db/mlflow" in text
    assert "The champion in /srv/models learnt" in text
    assert "Not promoted: taken." in text
    assert "fankui serve --model models:/fankui-quickstart/2" in text
