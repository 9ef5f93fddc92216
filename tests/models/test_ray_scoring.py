"""models/ray_scoring.py on a real Ray of two cores: the local path's answers, folders, and killed processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models import ray_scoring
from models.batch import ScoreOptions, score_file
from models.bundle import ModelBundle
from models.loading import ResolvedModel, load_predictor
from models.ray_input import find_sources
from models.ray_scoring import RaySummary, score_with_ray
from models.resolving import resolve_model
from pipeline.errors import DataError, FeedbackError, UsageError
from pipeline.readers import read_batches
from pipeline.routing import load_policy

pytest.importorskip("ray", reason="needs ray")

ROOT = Path(__file__).parents[2]
TEXTS = ["快递很慢", "服务很好", "很贵，快递慢", "着火了", "一般", "好。" * 90]
WHEN = "2026-03-01T09:00:00+08:00"

Score = Callable[..., RaySummary]


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """A Ray of two cores on this machine, in processes of its own."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 128 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def score(ray_address: str, tiny_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> Score:
    """`score(*args, target=…, slice_rows=…, **options)`"""

    def run(*args: Path, target: Path, slice_rows: int = 10, progress: Any = None, **options: Any) -> RaySummary:
        monkeypatch.setattr(ray_scoring, "_LEAST_ROWS", slice_rows)
        return score_with_ray(
            find_sources([str(arg) for arg in args]),
            target,
            model=ResolvedModel(tiny_bundle.path, None, "option"),
            policy=load_policy(),
            options=ScoreOptions(**options),
            address=ray_address,
            actors=2,
            progress=progress,
        )

    return run


def read(*paths: Path) -> list[dict[str, Any]]:
    return [row for path in paths for batch in read_batches(path) for row in batch.rows]


def read_folder(folder: Path) -> list[dict[str, Any]]:
    return read(*sorted(path for path in folder.rglob("*") if path.is_file()))


def locally(source: Path, target: Path, bundle: ModelBundle, **options: Any) -> list[dict[str, Any]]:
    predictor = load_predictor(bundle.path)
    score_file(source, target, predictor=predictor, policy=load_policy(), options=ScoreOptions(**options))
    return read(target)


def write_csv(path: Path, rows: int, *, first: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{i:05d},{TEXTS[i % len(TEXTS)]}{i},一店,{WHEN}" for i in range(first, first + rows)]
    path.write_text("\n".join(["id,text,shop,created_at", *lines]) + "\n", encoding="utf-8")
    return path


def write_parquet(path: Path, rows: int, *, first: int = 0, group: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = range(first, first + rows)
    table = pa.table(
        {
            "id": pa.array(list(numbers), type=pa.int32()),
            "text": [f"{TEXTS[i % len(TEXTS)]}{i}" if i % 7 else None for i in numbers],
            "marks": [["甲", "乙"] if i % 2 else None for i in numbers],
            "created_at": [WHEN for _ in numbers],
        }
    )
    pq.write_table(table, path, row_group_size=group)
    return path


def test_csv_gives_the_rows_of_the_local_path(tmp_path: Path, score: Score, tiny_bundle: ModelBundle) -> None:
    source = write_csv(tmp_path / "in.csv", 45)
    with source.open("a", encoding="utf-8") as file:
        file.write(f"x1,,一店,{WHEN}\nx2,很好,一店,{WHEN},太多\nx3,=1+1 很慢,一店,{WHEN}\n")
    expected = locally(source, tmp_path / "local.csv", tiny_bundle, all_probabilities=True, explain=True)
    summary = score(source, target=tmp_path / "out", all_probabilities=True, explain=True)
    assert (summary.files, summary.rows, summary.failed, summary.resumed) == (1, 48, 2, 0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"in-{first:09d}.csv" for first in (1, 11, 21, 31, 41)
    ]
    found = read_folder(tmp_path / "out")
    assert found == expected
    assert [row["error"].partition(":")[0] for row in found[45:]] == ["empty_text", "row_unreadable", ""]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "in.csv", "local.csv", "out"]


def test_parquet_gives_the_rows_of_the_local_path_and_keeps_types(
    tmp_path: Path, score: Score, tiny_bundle: ModelBundle
) -> None:
    source = write_parquet(tmp_path / "in.parquet", 50)
    expected = locally(source, tmp_path / "local.parquet", tiny_bundle, prefix="pred_")
    score(source, target=tmp_path / "out", prefix="pred_")
    assert read_folder(tmp_path / "out") == expected
    schemas = {pq.read_schema(path).remove_metadata() for path in (tmp_path / "out").iterdir()}
    assert len(schemas) == 1
    found = schemas.pop()
    assert (found.field("id").type, found.field("pred_level_score").type) == (pa.int32(), pa.float64())
    assert found.field("pred_parts").type == pa.map_(pa.string(), pa.int8())


def test_a_folder_keeps_its_partitions(tmp_path: Path, score: Score) -> None:
    write_parquet(tmp_path / "in" / "day=1" / "a.parquet", 12)
    write_parquet(tmp_path / "in" / "day=2" / "a.parquet", 12, first=12)
    (tmp_path / "in" / "_SUCCESS").touch()
    summary = score(tmp_path / "in", target=tmp_path / "out")
    assert (summary.files, summary.rows) == (2, 24)
    table = pq.read_table(tmp_path / "out")
    assert sorted(zip(table["day"].to_pylist(), table["id"].to_pylist(), strict=True)) == [
        (1 + i // 12, i) for i in range(24)
    ]


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_a_single_file_becomes_one(tmp_path: Path, score: Score, tiny_bundle: ModelBundle, extension: str) -> None:
    source = write_csv(tmp_path / "in.csv", 33)
    target = tmp_path / f"out.{extension}"
    score(source, target=target)
    assert read(target) == locally(source, tmp_path / f"local.{extension}", tiny_bundle)


def test_no_rows(tmp_path: Path, score: Score) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,text\n", encoding="utf-8")
    assert score(source, target=tmp_path / "out").rows == 0
    assert (tmp_path / "out" / "in-000000001.csv").read_text(encoding="utf-8").startswith("id,text,mood,")


def test_killed_actors_lose_no_row(tmp_path: Path, score: Score) -> None:
    source = write_csv(tmp_path / "in.csv", 3000)
    killed: list[int] = []

    def kill(rows: int) -> None:
        if rows >= 300 and not killed:
            workers = psutil.Process().children(recursive=True)
            running = [one for one in workers if one.status() != psutil.STATUS_ZOMBIE]  # it has no command line
            killed.extend(one.pid for one in running if "MapBatches(Scorer)" in " ".join(one.cmdline()))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    summary = score(source, target=tmp_path / "out", slice_rows=30, progress=kill)
    assert len(killed) == 2
    assert (summary.rows, summary.failed) == (3000, 0)
    assert [row["id"] for row in read_folder(tmp_path / "out")] == [f"{i:05d}" for i in range(3000)]


def wait_for_reports(job: Path, count: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 90
    while len(list((job / "done").glob("*.json"))) < count and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


DRIVER = """
import sys
from pathlib import Path
from models import ray_scoring
from models.loading import ResolvedModel
from models.ray_input import find_sources
from pipeline.routing import load_policy
address, bundle, source, target = sys.argv[1:]
ray_scoring._LEAST_ROWS = 30
model = ResolvedModel(Path(bundle), None, "option")
found = ray_scoring.score_with_ray(
    find_sources([source]), Path(target), model=model, policy=load_policy(), address=address or None, actors=2
)
print(found.resumed, found.rows)
"""


def test_a_killed_driver_is_run_again(tmp_path: Path, ray_address: str, tiny_bundle: ModelBundle) -> None:
    source = write_csv(tmp_path / "in.csv", 6000)
    target = tmp_path / "out"
    command = [sys.executable, "-c", DRIVER, ray_address, str(tiny_bundle.path), str(source), str(target)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_reports(tmp_path / ".out.scoring", 5, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not target.exists()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    resumed, rows = map(int, again.stdout.split())
    assert (0 < resumed < 6000, rows, again.stderr) == (True, 6000, "")
    assert [row["id"] for row in read_folder(target)] == [f"{i:05d}" for i in range(6000)]


def test_ctrl_c_ends_a_ray_of_its_own(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    source = write_csv(tmp_path / "in.csv", 60_000)
    command = [sys.executable, "-c", DRIVER, "", str(tiny_bundle.path), str(source), str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": "/tmp"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_reports(tmp_path / ".out.scoring", 3, process)
    started = psutil.Process(process.pid).children(recursive=True)
    session = next(word for one in started for word in one.cmdline() if "/ray-" in word)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT, told
    assert len(started) > 4
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []
    folder = next(Path("/tmp", part) for part in session.split("/") if part.startswith("ray-"))
    assert not folder.exists()
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / ".out.scoring" / "done").glob("*.json"))) >= 3


def test_nobody_at_the_address(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    source = write_csv(tmp_path / "in.csv", 3)
    with pytest.raises(FeedbackError) as caught:
        score_with_ray(
            find_sources([str(source)]),
            tmp_path / "out",
            model=ResolvedModel(tiny_bundle.path, None, "option"),
            policy=load_policy(),
            address="127.0.0.1:1",
        )
    assert (caught.value.code, caught.value.message) == (
        "ray_unreachable",
        "no Ray at 127.0.0.1:1 (Connection refused); expected HOST:PORT of a cluster's head, as `ray start --head` "
        "prints it",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "in.csv"]


def test_the_shipped_network_gives_the_local_answers(tmp_path: Path, ray_address: str) -> None:
    source = write_csv(tmp_path / "in.csv", 40)
    model, options = resolve_model("default"), ScoreOptions(embeddings=True, all_probabilities=True)
    score_file(source, tmp_path / "a.parquet", predictor=load_predictor(model), policy=load_policy(), options=options)
    sources = find_sources([str(source)])
    score_with_ray(
        sources, tmp_path / "b.parquet", model=model, policy=load_policy(), options=options, address=ray_address
    )
    expected, found = read(tmp_path / "a.parquet"), read(tmp_path / "b.parquet")
    assert list(found[0]) == list(expected[0])
    for one, other in zip(expected, found, strict=True):
        # Batch-mates and threads are others: a last digit may be too.
        assert {k: v for k, v in other.items() if not isinstance(v, float | list)} == {
            k: v for k, v in one.items() if not isinstance(v, float | list)
        }
        assert [v for v in other.values() if isinstance(v, float)] == pytest.approx(
            [v for v in one.values() if isinstance(v, float)], abs=2e-6
        )
        assert other["embedding"] == pytest.approx(one["embedding"], abs=2e-3)


def test_an_altered_model_is_told_by_the_actor(tmp_path: Path, score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_csv(tmp_path / "in.csv", 5)
    monkeypatch.setattr("models.bundle.ModelBundle.read", lambda bundle, file: (bundle.path / file).read_bytes() + b" ")
    with pytest.raises(FeedbackError) as caught:
        score(source, target=tmp_path / "out")
    assert caught.value.code == "bundle_altered"
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_is_refused_before_anything_starts(tmp_path: Path, score: Score) -> None:
    source = write_csv(tmp_path / "in" / "a.csv", 3)
    labelled = tmp_path / "b.csv"
    labelled.write_text("text,mood\n很好,fine\n", encoding="utf-8")
    other = tmp_path / "c.csv"
    other.write_text("text,name\n很好,甲\n", encoding="utf-8")
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").touch()
    cases: list[tuple[tuple[Path, ...], dict[str, Any], str]] = [
        ((labelled,), {}, "columns_clash"),
        ((source, other), {}, "columns_differ"),
        ((source,), {"target": full}, "output_exists"),
        ((source,), {"target": tmp_path / "in"}, "same_file"),
        ((source,), {"target": tmp_path / "o.xlsx"}, "ray_format"),
        ((source, source.with_name("a.csv")), {"embeddings": True}, "no_embeddings"),
        ((other, labelled), {"target": tmp_path / "o.csv"}, "output_no_folder"),
    ]
    for args, options, code in cases:
        with pytest.raises((UsageError, DataError)) as caught:
            score(*args, **{"target": tmp_path / "out", **options})
        assert caught.value.code == code
    assert score(labelled, target=tmp_path / "o", overwrite=True).rows == 1
    assert {row["mood"] for row in read_folder(tmp_path / "o")} == {"fine"}


def test_the_command(tmp_path: Path, ray_address: str, tiny_bundle: ModelBundle) -> None:
    write_csv(tmp_path / "in" / "a.csv", 7)
    command = [sys.executable, "-m", "fankui", "score", "in", "-o", "out", "--engine", "ray", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FANKUI_MODEL": str(tiny_bundle.path)}
    done = subprocess.run(
        [*command, "--ray-address", ray_address],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    body = json.loads(done.stdout)
    assert (body["rows"], body["failed"], body["model_version"]) == (7, 0, tiny_bundle.version)
