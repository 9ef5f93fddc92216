"""training/quickstart.py: the whole way on a handful of rows; .ci/run does it on the real samples."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fankui
import pipeline.resources
from models.champion import read_champion
from pipeline.feedback import Example

pytest.importorskip("mlflow")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


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
