"""`fankui score` of several files, patterns and folders of parquet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fankui import run
from models import score_files
from models.bundle import ModelBundle
from models.score_arguments import file_targets, files_or_texts, folder_files
from pipeline.errors import UsageError


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of three files, partitioned by day, with what other tools leave beside them."""
    monkeypatch.chdir(tmp_path)
    for day, name, text in (("2026-03-01", "a", "很慢"), ("2026-03-01", "b", "很好"), ("2026-03-02", "a", "坏")):
        folder = tmp_path / "lake" / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": [1, 2], "text": [text, "服务员"]}), folder / f"{name}.parquet")
    (tmp_path / "lake" / "_SUCCESS").write_bytes(b"")
    (tmp_path / "lake" / "_temporary").mkdir()
    (tmp_path / "lake" / "_temporary" / "part.parquet").write_bytes(b"PAR1")
    (tmp_path / "lake" / ".part.parquet").write_bytes(b"PAR1")
    return tmp_path / "lake"


@pytest.fixture
def score(tiny_bundle: ModelBundle, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def command(*args: str) -> Any:
        assert run(["score", *args, "--model", str(tiny_bundle.path), "--json"]) == 0
        return json.loads(capsys.readouterr().out)["files"]

    return command


def test_a_partitioned_folder_keeps_its_partitions(lake: Path, score: Callable[..., Any]) -> None:
    told = score("lake", "-o", "scored")
    assert [one["target"] for one in told] == [
        "scored/day=2026-03-01/a.parquet", "scored/day=2026-03-01/b.parquet", "scored/day=2026-03-02/a.parquet",
    ]  # fmt: skip
    found = ds.dataset("scored", partitioning="hive").to_table().sort_by([("day", "ascending"), ("id", "ascending")])
    assert found.num_rows == 6
    assert sorted(zip(found["day"].to_pylist(), found["mood"].to_pylist(), strict=True)) == [
        ("2026-03-01", "bad"), ("2026-03-01", "fine"), ("2026-03-01", "ok"), ("2026-03-01", "ok"),
        ("2026-03-02", "bad"), ("2026-03-02", "ok"),
    ]  # fmt: skip
    # The same texts in several files are scored once: “服务员” stands in all three.
    assert sum(one["cached"] for one in told) == 2
    assert [path.name for path in Path("scored").rglob(".*")] == []


def test_a_run_over_several_files_passes_over_those_it_had_finished(
    lake: Path, score: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = score_files.score_file

    def stop(source: Any, target: Path, **more: Any) -> Any:
        if "03-02" in str(target):
            raise KeyboardInterrupt
        return original(source, target, **more)

    monkeypatch.setattr(score_files, "score_file", stop)
    with pytest.raises((KeyboardInterrupt, AssertionError)):
        score("lake", "-o", "scored")
    monkeypatch.undo()
    monkeypatch.chdir(lake.parent)
    written = Path("scored/day=2026-03-01/a.parquet").stat().st_mtime_ns
    told = score("lake", "-o", "scored")
    assert [one["resumed"] for one in told] == [2, 2, 0]
    assert [one["rows"] for one in told] == [2, 2, 2]
    assert Path("scored/day=2026-03-01/a.parquet").stat().st_mtime_ns == written
    assert [one["resumed"] for one in score("lake", "-o", "scored")] == [0, 0, 0]


def test_hidden_files_do_not_belong_to_a_folder(lake: Path) -> None:
    assert [path.name for path in folder_files(lake)] == ["a.parquet", "b.parquet", "a.parquet"]
    assert files_or_texts(["lake"], as_text=False)[0] == [path.relative_to(lake.parent) for path in folder_files(lake)]


def test_a_folder_goes_into_another(lake: Path) -> None:
    files, folders = folder_files(Path("lake")), [Path("lake")]
    with pytest.raises(UsageError) as raised:
        file_targets(files, Path("lake/scored"), folders=folders)
    assert raised.value.message == "lake/scored lies in lake, whose files are read; name a folder outside"
    with pytest.raises(UsageError) as raised:
        file_targets(files[:1], Path("out.parquet"), folders=folders)
    assert raised.value.message == "a folder's files go into a folder; out.parquet looks like a file"


def test_files_that_fit_a_pattern_keep_their_place_behind_what_it_names() -> None:
    files = [Path("lake/a/p.csv"), Path("lake/b/p.csv"), Path("other/q.csv")]
    found = file_targets(files, Path("out"), patterns=["lake/*/p.csv", "other/q.csv"])
    assert [target for _, target in found] == [Path("out/a/p.csv"), Path("out/b/p.csv"), Path("out/q.csv")]
    assert file_targets([Path("a/x.csv")], Path("out"), patterns=["**/x.csv"]) == [(Path("a/x.csv"), Path("out"))]


def test_a_missing_column_of_the_last_file_is_told_before_the_first_is_scored(
    tmp_path: Path, tiny_bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, column in (("a", "text"), ("b", "words")):
        (tmp_path / f"{name}.csv").write_text(f"{column}\n快递很慢\n", encoding="utf-8")
    sources = [str(tmp_path / f"{name}.csv") for name in ("a", "b")]
    assert run(["score", *sources, "-o", str(tmp_path / "out"), "--model", str(tiny_bundle.path)]) == 1
    assert "b.csv has no column 'text'" in capsys.readouterr().err
    assert not (tmp_path / "out" / "a.csv").exists()


def test_without_the_cache_every_row_is_scored(lake: Path, score: Callable[..., Any]) -> None:
    assert [one["cached"] for one in score("lake", "-o", "scored", "--no-cache")] == [0, 0, 0]
