"""Several processes, the cache and several files: the same answers as one process gives, and nothing left behind."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from models.batch import ScoreOptions, ScoreSummary, score_file
from models.batch_session import scoring_session, worker_count
from models.bundle import ModelBundle
from models.loading import ResolvedModel
from models.predictor import BundlePredictor
from pipeline.cores import usable_cores
from pipeline.errors import BundleError, ModelError
from pipeline.readers import read_batches
from pipeline.routing import load_policy

WORDS = ("快递", "服务", "店家", "很慢", "很好", "贵", "坏", "着火", "一般", "！", "。", "")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """20,000 rows with about 1,700 different texts, some of them without words."""
    rows = [
        {"id": i, "text": WORDS[i % 12] + WORDS[i // 12 % 12] + WORDS[i // 144 % 12], "created_at": "2026-03-01 09:00"}
        for i in range(20_000)
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def run(
    tiny_bundle: ModelBundle, predictor: BundlePredictor, source: Path
) -> Callable[..., tuple[ScoreSummary, list[dict[str, Any]]]]:
    def score(target: str, **how: Any) -> tuple[ScoreSummary, list[dict[str, Any]]]:
        policy, options, model = load_policy(), ScoreOptions(), ResolvedModel(tiny_bundle.path, None, "option")
        path = source.with_name(target)
        with scoring_session(predictor, policy, options, model=model, **how) as session:
            summary = score_file(source, path, predictor=predictor, policy=policy, options=options, session=session)
        return summary, [row for batch in read_batches(path) for row in batch.rows]

    return score


def test_workers_and_cache_change_no_answer(run: Callable[..., tuple[ScoreSummary, list[dict[str, Any]]]]) -> None:
    plain, expected = run("plain.jsonl", cached=False)
    cached, rows = run("cached.jsonl")
    assert rows == expected
    both, rows = run("both.jsonl", workers=2)
    assert rows == expected
    assert (plain.cached, plain.failed) == (0, cached.failed)
    texts = len({row["text"] for row in expected if row["error"] is None})
    assert cached.cached >= plain.rows - plain.failed - texts
    # No text is scored twice, whoever scores it and whatever waits for whom.
    assert both.cached == cached.cached
    assert both.zones == plain.zones


def test_no_process_stays(run: Callable[..., Any]) -> None:
    before = psutil.Process().children(recursive=True)  # of other tests in this process
    run("out.jsonl", workers=2)
    assert [
        child for child in psutil.Process().children(recursive=True) if child not in before and _scores(child)
    ] == []


def test_a_killed_worker_is_told_and_the_run_goes_on_from_there(
    tiny_bundle: ModelBundle, predictor: BundlePredictor, source: Path
) -> None:
    policy, model = load_policy(), ResolvedModel(tiny_bundle.path, None, "option")
    target = source.with_name("out.csv")

    def kill(_: object) -> None:
        for child in psutil.Process().children():
            if _scores(child):
                os.kill(child.pid, signal.SIGKILL)

    with (
        pytest.raises(ModelError) as raised,
        scoring_session(predictor, policy, model=model, workers=2, cached=False) as session,
    ):
        score_file(source, target, predictor=predictor, policy=policy, session=session, progress=kill)
    assert raised.value.code == "worker_lost"
    assert raised.value.message == (
        "a worker process ended before its time (killed, or out of memory); what is scored is kept: run the same "
        "command again, with fewer --workers where memory is short"
    )
    assert not target.exists()
    summary = score_file(source, target, predictor=predictor, policy=policy)
    assert (summary.rows, summary.resumed > 0) == (20_000, True)


def test_a_model_that_changed_for_the_workers_is_refused(
    write_tiny: Callable[..., ModelBundle], predictor: BundlePredictor, source: Path
) -> None:
    other = ResolvedModel(write_tiny("other", name="other").path, None, "option")
    policy = load_policy()
    with (
        pytest.raises(BundleError) as raised,
        scoring_session(predictor, policy, model=other, workers=2) as session,
    ):
        score_file(source, source.with_name("out.csv"), predictor=predictor, policy=policy, session=session)
    assert raised.value.message == f"{other.path} changed while it was used; run the command again"


def test_a_model_that_workers_cannot_open_is_told(predictor: BundlePredictor, source: Path, tmp_path: Path) -> None:
    gone = ResolvedModel(tmp_path / "gone", None, "option")
    policy = load_policy()
    with pytest.raises(BundleError), scoring_session(predictor, policy, model=gone, workers=2) as session:
        score_file(source, source.with_name("out.csv"), predictor=predictor, policy=policy, session=session)


def test_a_resumed_run_scores_no_text_again(predictor: BundlePredictor, source: Path) -> None:
    target, policy = source.with_name("out.jsonl"), load_policy()

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(source, target, predictor=predictor, policy=policy, progress=stop)
    summary = score_file(source, target, predictor=predictor, policy=policy)
    assert summary.resumed == 8192
    # The first segment has every text of the file but those that only its end has.
    seen: set[str] = set()
    fresh = 0
    for batch in read_batches(target):
        for number, row in enumerate(batch.rows, batch.first_row):
            if row["error"] is None and row["text"] not in seen:
                seen.add(row["text"])
                fresh += number > 8192
    assert fresh <= 20
    assert summary.cached >= 20_000 - 8192 - summary.failed - fresh


def test_small_files_stay_in_one_process(tmp_path: Path) -> None:
    small, large, packed = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.parquet"
    small.write_bytes(b"x" * 1000)
    large.write_bytes(b"x" * (1 << 20))
    packed.write_bytes(b"x" * (1 << 18))
    assert [worker_count([path], cores=6) for path in (small, large, packed)] == [1, 6, 6]
    assert worker_count([small] * 2000, cores=6) == 6
    assert worker_count([small] * 2000) == usable_cores() >= 1


def _scores(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
