"""models/ray_cli.py: what `fankui score --engine ray` refuses, and what it tells."""

from pathlib import Path

import pytest

from fankui import run
from models import ray_scoring
from models.ray_scoring import RaySummary


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.csv"
    path.write_text("text\n很好\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--engine", "ray", "-o", "out", "--sheet", "a"], "--sheet: not with --engine ray; leave it out, or score"),
        (["--engine", "ray", "-o", "out", "--text"], "--text: not with --engine ray; leave it out, or score"),
        (["--engine", "ray", "-o", "out", "-"], "-: not with --engine ray; leave it out, or score"),
        (["--engine", "ray"], "say where to write: -o FOLDER, or -o FILE for a single file"),
        (["--ray-address", "10.0.0.5:6379", "-o", "out"], "--ray-address is for --engine ray; give both, or neither"),
        (["--engine", "ray", "-o", "out", "很好"], "there is no file or folder 很好; --engine ray scores files only"),
    ],
)
def test_what_ray_cannot_honor_is_refused(
    source: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert run(["score", "in.csv", *words]) == 2
    assert capsys.readouterr().err.startswith(f"fankui: {told}")


def test_the_summary(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, linear_bundle: Path
) -> None:
    given: dict[str, object] = {}

    def score(sources: object, target: Path, **options: object) -> RaySummary:
        given.update(options)
        return RaySummary(target, 2, 1234, 3, 1000, 5, {"auto": 1231}, 12.34, 5.67, "small@0123")

    monkeypatch.setattr(ray_scoring, "score_with_ray", score)
    words = ["--engine", "ray", "-o", "out", "--threads", "3", "--no-cache", "--ray-address", "head:6379"]
    assert run(["score", "in.csv", "--model", str(linear_bundle), *words]) == 0
    assert (given["actors"], given["cached"], given["address"]) == (3, False, "head:6379")
    assert capsys.readouterr().err.splitlines() == [
        "2 files -> out: 1,234 rows, 1,000 of them from an earlier run, 5 of them from the cache, 3 with an error (see "
        "its column); auto 1,231; 12.3 s, 5.7 s of them to start; model small@0123"
    ]
