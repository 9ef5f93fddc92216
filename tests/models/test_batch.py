"""models/batch.py: files in, files out; bad rows, clashes, interruptions."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from models.batch import ScoreOptions, ScoreProgress, ScoreSummary, score_file
from models.batch_session import scoring_session
from models.bundle import ModelBundle
from models.job_lock import alone
from models.loading import ResolvedModel
from models.precision import PRECISION_VARIABLE
from models.predictor import BundlePredictor
from pipeline.columns import ColumnMap
from pipeline.errors import DataError, UsageError
from pipeline.readers import open_file, read_batches
from pipeline.routing import load_policy

ROOT = Path(__file__).parents[2]
TEXTS = ["快递很慢", "服务很好", "", "着火了", "a\0b"]


@pytest.fixture
def score(predictor: BundlePredictor) -> Callable[..., ScoreSummary]:
    def run(source: Path, target: Path, **options: Any) -> ScoreSummary:
        return score_file(source, target, predictor=predictor, policy=load_policy(), options=ScoreOptions(**options))

    return run


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [row for batch in read_batches(path) for row in batch.rows]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", [{"id": i, "text": text, "shop": "一店"} for i, text in enumerate(TEXTS)])


@pytest.mark.parametrize("extension", ["jsonl", "csv", "tsv", "parquet", "xlsx"])
def test_every_format_keeps_its_columns_and_gains_ours(
    source: Path, tmp_path: Path, score: Callable[..., ScoreSummary], extension: str
) -> None:
    target = tmp_path / f"out.{extension}"
    summary = score(source, target)
    assert (summary.rows, summary.failed, summary.resumed) == (5, 2, 0)
    rows = read(target)
    assert [str(row["id"]) for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row["mood"] or None for row in rows] == ["bad", "fine", None, "bad", None]
    assert rows[2]["error"].startswith("empty_text: ")
    assert rows[4]["error"].startswith("nul_character: ")
    assert {row["shop"] for row in rows} == {"一店"}
    assert len({row["model_version"] for row in rows}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "in.jsonl", target.name]


def test_the_forms_of_aspects(source: Path, tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    score(source, tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl")[0]["parts"] == {"parcel": -1}
    score(source, tmp_path / "out.csv")
    assert read(tmp_path / "out.csv")[0]["parts"] == "parcel:-1"


def test_an_unreadable_line_is_one_bad_row(tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "很好"}\n{"text": \n{"text": 666}\n{"text": null}\n', encoding="utf-8")
    summary = score(source, tmp_path / "out.jsonl")
    rows = read(tmp_path / "out.jsonl")
    assert summary.failed == 2
    assert rows[1]["error"].startswith("row_unreadable: ")
    assert rows[2]["error"] is None
    assert rows[3]["error"].startswith("not_text: ")


def test_no_rows(tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,text\n", encoding="utf-8")
    assert score(source, tmp_path / "out.csv").rows == 0
    with (tmp_path / "out.csv").open(encoding="utf-8-sig") as file:
        assert next(csv.reader(file))[:4] == ["id", "text", "mood", "mood_probability"]


def test_due_times_run_from_created_at(tmp_path: Path, predictor: BundlePredictor) -> None:
    policy_file = tmp_path / "routing.toml"
    policy_file.write_text('[due]\ntask = "level"\nlabels = {top = "30 min"}\n', encoding="utf-8")
    made = ["2026-03-01 09:00", None, "not a time"]
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "着火", "created_at": when} for when in made])
    target = tmp_path / "out.jsonl"
    score_file(source, target, predictor=predictor, policy=load_policy(policy_file))
    first, second, third = read(target)
    assert first["due_at"] == "2026-03-01T09:30:00+08:00"
    assert second["due_at"] == third["due_at"] != first["due_at"]
    assert (second["flags"], third["flags"]) == ([], ["created_at_unreadable"])


def test_clashing_columns_stop_with_their_names(tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "很慢", "mood": "ok", "error": 1}])
    with pytest.raises(UsageError) as raised:
        score(source, tmp_path / "out.jsonl")
    assert raised.value.message == (
        f"{source} has columns that scoring writes: mood, error; give --prefix pred_ to keep both, "
        "or --overwrite to replace them"
    )
    assert not (tmp_path / "out.jsonl").exists()
    score(source, tmp_path / "out.jsonl", prefix="pred_")
    (row,) = read(tmp_path / "out.jsonl")
    assert (row["mood"], row["pred_mood"], row["error"], row["pred_error"]) == ("ok", "bad", 1, None)
    score(source, tmp_path / "out2.jsonl", overwrite=True)
    (row,) = read(tmp_path / "out2.jsonl")
    assert (row["mood"], row["error"]) == ("bad", None)


LATE: list[dict[str, Any]] = [{"text": "很慢"}] * 1500


@pytest.mark.parametrize("extension", ["jsonl", "csv", "parquet"])
def test_a_column_that_a_late_row_brings_is_kept(
    tmp_path: Path, score: Callable[..., ScoreSummary], extension: str
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [*LATE, {"text": "很好", "order": "A7"}])
    score(source, tmp_path / f"out.{extension}")
    rows = read(tmp_path / f"out.{extension}")
    assert (rows[-1]["order"], rows[-1]["mood"]) == ("A7", "fine")
    assert not rows[0].get("order")


def test_rows_of_jsonl_do_not_gain_the_columns_of_others(tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "很好", "a": None}, {"text": "很慢", "b": 1}])
    score(source, tmp_path / "out.jsonl")
    first, second = read(tmp_path / "out.jsonl")
    assert ("a" in first, "b" in first, "a" in second) == (True, False, False)


@pytest.mark.parametrize("extension", ["jsonl", "csv"])
def test_a_late_clash_stops_and_what_is_scored_is_used_again(
    tmp_path: Path, score: Callable[..., ScoreSummary], extension: str
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [*LATE, {"text": "很好", "mood": "bad"}])
    target = tmp_path / f"out.{extension}"
    with pytest.raises(UsageError) as raised:
        score(source, target)
    assert raised.value.message == (
        f"{source} has columns that scoring writes: mood; give --prefix pred_ to keep both, "
        "or --overwrite to replace them"
    )
    assert not target.exists()
    assert score(source, target, prefix="pred_").resumed == 1501
    last = read(target)[-1]
    assert (last["mood"], last["pred_mood"]) == ("bad", "fine")
    score(source, tmp_path / "over.jsonl", overwrite=True)
    assert read(tmp_path / "over.jsonl")[-1]["mood"] == "fine"


def test_a_table_does_not_grow_without_end(tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "很好", f"key{i}": i} for i in range(5000)])
    with pytest.raises(DataError) as raised:
        score(source, tmp_path / "out.csv")
    assert raised.value.message == (
        f"{source} has over 4,096 columns; name a .jsonl file to write to, which holds any number"
    )


def test_rows_that_parquet_has_no_type_for_are_written(tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "很好", "metadata": {}}])
    score(source, tmp_path / "out.parquet")
    assert read(tmp_path / "out.parquet")[0]["metadata"] == "{}"


@pytest.mark.parametrize(
    ("zone", "due"),
    [("Asia/Tokyo", "2026-03-01T09:30:00+09:00"), ("-05:00", "2026-03-01T09:30:00-05:00")],
)
def test_times_without_a_zone_are_in_the_policys(
    tmp_path: Path, predictor: BundlePredictor, zone: str, due: str
) -> None:
    policy_file = tmp_path / "routing.toml"
    policy_file.write_text(
        f'timezone = "{zone}"\n[due]\ntask = "level"\nlabels = {{top = "30 min"}}\n', encoding="utf-8"
    )
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "着火", "created_at": "2026-03-01 09:00"}])
    score_file(source, tmp_path / "out.jsonl", predictor=predictor, policy=load_policy(policy_file))
    assert read(tmp_path / "out.jsonl")[0]["due_at"] == due


def test_another_sheet_is_another_run(tmp_path: Path, predictor: BundlePredictor) -> None:
    book = openpyxl.Workbook()
    for name in ("一月", "二月"):
        sheet = book.create_sheet(name)
        for text in ("text", "很慢" if name == "一月" else "很好"):
            sheet.append([text])
    book.save(tmp_path / "in.xlsx")

    def stop(done: ScoreProgress) -> None:
        raise KeyboardInterrupt

    target, policy = tmp_path / "out.jsonl", load_policy()
    with pytest.raises(KeyboardInterrupt):
        january = open_file(tmp_path / "in.xlsx", sheet="一月")
        score_file(january, target, predictor=predictor, policy=policy, progress=stop)
    february = open_file(tmp_path / "in.xlsx", sheet="二月")
    assert score_file(february, target, predictor=predictor, policy=policy).resumed == 0
    assert read(target)[0]["mood"] == "fine"


def test_the_text_column_is_never_replaced(tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"mood": "很慢"}])
    with pytest.raises(UsageError, match="the text column 'mood' is an output name; give --prefix pred_"):
        score(source, tmp_path / "out.jsonl", columns=ColumnMap(text="mood"), overwrite=True)


def test_a_missing_text_column_names_those_there_are(
    source: Path, tmp_path: Path, score: Callable[..., ScoreSummary]
) -> None:
    with pytest.raises(DataError) as raised:
        score(source, tmp_path / "out.csv", columns=ColumnMap(text="comment"))
    assert raised.value.code == "column_missing"
    assert "its columns are: id, text, shop" in raised.value.message


def test_the_input_is_never_written_over(source: Path, score: Callable[..., ScoreSummary]) -> None:
    with pytest.raises(UsageError, match="is the input itself; write to another file with -o"):
        score(source, source)


def test_embeddings_of_a_model_that_has_none(source: Path, tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    with pytest.raises(UsageError, match="has no embeddings; leave --embeddings out or name a network"):
        score(source, tmp_path / "out.jsonl", embeddings=True)


def test_evidence_is_a_list_where_the_format_has_lists_and_readable_elsewhere(
    source: Path, tmp_path: Path, score: Callable[..., ScoreSummary]
) -> None:
    score(source, tmp_path / "out.jsonl", explain=True)
    nested = read(tmp_path / "out.jsonl")
    first = nested[0]["evidence"][0]
    assert (first["task"], first["text"]) == ("mood", TEXTS[0][first["start"] : first["end"]])
    assert nested[2]["evidence"] is None
    for extension in ("csv", "xlsx"):
        score(source, tmp_path / f"out.{extension}", explain=True)
        shown = read(tmp_path / f"out.{extension}")
        assert shown[0]["evidence"].startswith(f"差: 慢 {first['weight']:+.2f}; "), shown[0]
        assert "; parcel 负面: " in shown[0]["evidence"]
        assert not shown[2]["evidence"]
    score(source, tmp_path / "out.parquet", explain=True)
    assert json.loads(read(tmp_path / "out.parquet")[0]["evidence"]) == nested[0]["evidence"]


def test_reasons_and_flags_in_every_format(source: Path, tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    for extension in ("jsonl", "parquet", "csv", "xlsx"):
        score(source, tmp_path / f"out.{extension}")
    nested, table = read(tmp_path / "out.jsonl"), read(tmp_path / "out.parquet")
    assert [row["reasons"] for row in table] == [row["reasons"] for row in nested]
    assert nested[0]["reasons"] == ["default_queue", "no_routed_task"]
    assert (nested[0]["flags"], nested[2]["reasons"]) == ([], None)
    for name in ("out.csv", "out.xlsx"):
        first, *_ = read(tmp_path / name)
        assert (first["reasons"], first["flags"] or None) == ("default_queue;no_routed_task", None)
    with (tmp_path / "out.csv").open(encoding="utf-8-sig") as file:
        assert next(csv.DictReader(file))["flags"] == ""
    names, cells, *_ = openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows(values_only=True)
    row = dict(zip(names, cells, strict=True))
    assert (row["truncated"], row["flags"]) == (False, None)


def test_a_danger_beyond_the_cap_is_found_by_workers_and_beside_the_cache(
    tmp_path: Path, predictor: BundlePredictor, tiny_bundle: ModelBundle
) -> None:
    (tmp_path / "routing.toml").write_text(
        '[due]\ntask = "level"\n[due.labels]\nlow = "1 d"\n[dangers]\nfile = "d.toml"\n', encoding="utf-8"
    )
    (tmp_path / "d.toml").write_text('[[dangers]]\ngroup = "fire"\nlevel = "top"\nterms = ["着火"]\n', encoding="utf-8")
    policy, options = load_policy(tmp_path / "routing.toml"), ScoreOptions()
    long = "".join(f"第{i}天，" for i in range(600))  # repetitions would be squeezed
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": long + end} for end in ("", "着火了", "", "着火了")])
    model = ResolvedModel(tiny_bundle.path, None, "option")
    for workers in (1, 2):
        with scoring_session(predictor, policy, options, model=model, workers=workers) as session:
            score_file(
                source, tmp_path / "o.jsonl", predictor=predictor, policy=policy, options=options, session=session
            )
        found = [row["reasons"] for row in read(tmp_path / "o.jsonl")]
        assert ["danger:fire" in reasons for reasons in found] == [False, True, False, True], workers


@pytest.fixture
def many(tmp_path: Path) -> Path:
    rows = [{"id": i, "text": TEXTS[i % 5] + "呀" * (i % 7)} for i in range(20_000)]
    return write_jsonl(tmp_path / "many.jsonl", rows)


def test_an_interrupted_run_goes_on_and_ends_the_same(many: Path, tmp_path: Path, predictor: BundlePredictor) -> None:
    def stop(done: ScoreProgress) -> None:
        if done.rows >= 8192:
            raise KeyboardInterrupt

    target, policy = tmp_path / "out.jsonl", load_policy()
    with pytest.raises(KeyboardInterrupt):
        score_file(many, target, predictor=predictor, policy=policy, progress=stop)
    assert not target.exists()
    kept = "".join(path.read_text(encoding="latin-1") for path in (tmp_path / ".out.jsonl.scoring").iterdir())
    assert "很慢".encode().decode("latin-1") not in kept  # answers only, never the comments
    summary = score_file(many, target, predictor=predictor, policy=policy)
    assert (summary.rows, summary.resumed) == (20_000, 8192)
    score_file(many, tmp_path / "whole.jsonl", predictor=predictor, policy=policy)
    drop = {"due_at"}
    resumed, whole = (
        [{k: v for k, v in row.items() if k not in drop} for row in read(path)]
        for path in (target, tmp_path / "whole.jsonl")
    )
    assert resumed == whole


def test_a_changed_input_is_scored_anew(many: Path, tmp_path: Path, predictor: BundlePredictor) -> None:
    def stop(done: ScoreProgress) -> None:
        raise KeyboardInterrupt

    target, policy = tmp_path / "out.jsonl", load_policy()
    with pytest.raises(KeyboardInterrupt):
        score_file(many, target, predictor=predictor, policy=policy, progress=stop)
    write_jsonl(many, [{"id": 0, "text": "很好"}])
    assert score_file(many, target, predictor=predictor, policy=policy).resumed == 0


def _interrupted(source: Path, target: Path, predictor: BundlePredictor) -> None:
    def stop(done: ScoreProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(source, target, predictor=predictor, policy=load_policy(), progress=stop)


def test_answers_of_another_precision_are_not_used_again(
    many: Path, tmp_path: Path, predictor: BundlePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.jsonl"
    monkeypatch.setenv(PRECISION_VARIABLE, "fp32")
    _interrupted(many, target, predictor)
    monkeypatch.delenv(PRECISION_VARIABLE)
    assert score_file(many, target, predictor=predictor, policy=load_policy()).resumed == 0


def test_two_runs_never_write_one_target(source: Path, tmp_path: Path, score: Callable[..., ScoreSummary]) -> None:
    target = tmp_path / "out.jsonl"
    with alone(target), pytest.raises(UsageError, match="is being scored by another run") as refused:
        score(source, target)
    assert refused.value.code == "job_running"
    assert not target.exists()
    assert score(source, target).rows == len(TEXTS)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_lock_that_its_holder_removed_is_no_lock(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with alone(target):
        (tmp_path / ".out.jsonl.lock").unlink()  # as one does that ends at this moment
        with alone(target):
            pass


def test_what_killed_runs_left_of_the_target_is_removed(
    source: Path, tmp_path: Path, score: Callable[..., ScoreSummary]
) -> None:
    mine, others = tmp_path / ".out.jsonl.abc.part", tmp_path / ".other.jsonl.abc.part"
    mine.write_text("half")
    others.write_text("half")
    score(source, tmp_path / "out.jsonl")
    assert (mine.exists(), others.exists()) == (False, True)


def test_a_finished_file_is_written_again_under_other_names(
    source: Path, tmp_path: Path, predictor: BundlePredictor
) -> None:
    def run(prefix: str) -> ScoreSummary:
        options = ScoreOptions(prefix=prefix)
        target, policy = tmp_path / "out.jsonl", load_policy()
        return score_file(source, target, predictor=predictor, policy=policy, options=options, keep_mark=True)

    run("")
    assert run("").resumed == len(TEXTS)
    run("p_")
    assert "p_mood" in read(tmp_path / "out.jsonl")[0]


def test_an_input_that_grows_meanwhile_is_told(many: Path, tmp_path: Path, predictor: BundlePredictor) -> None:
    def grow(done: ScoreProgress) -> None:
        if done.rows == 20_000:
            with many.open("a", encoding="utf-8") as file:
                file.write('{"id": 1, "text": "很好"}\n')

    with pytest.raises(DataError) as raised:
        score_file(many, tmp_path / "out.jsonl", predictor=predictor, policy=load_policy(), progress=grow)
    assert raised.value.message == f"{many} changed while it was scored; run the command again"
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        (signal.SIGKILL, -signal.SIGKILL, ""),
        (signal.SIGINT, 130, "fankui: stopped; what is scored is kept, the same command goes on from there\n"),
    ],
)
def test_a_killed_process_loses_only_what_it_was_at(
    *, many: Path, tmp_path: Path, tiny_bundle: ModelBundle, how: signal.Signals, code: int, told: str
) -> None:
    rows = [json.loads(line) for line in many.read_text(encoding="utf-8").splitlines()]
    write_jsonl(many, [{"id": i, "text": row["text"]} for i, row in enumerate(rows * 2)])
    target, work = tmp_path / "out.csv", tmp_path / ".out.csv.scoring"
    command = [
        sys.executable,
        str(ROOT / "fankui.py"),
        "score",
        str(many),
        "-o",
        str(target),
        "--model",
        str(tiny_bundle.path),
        "--json",
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell that starts the tests in the background has them ignore Ctrl-C, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    limit = time.monotonic() + 60
    while len(list(work.glob("*.answers"))) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.send_signal(how)
    # Killed outright, Python's own tracker of shared things may have a word to say.
    assert process.communicate()[1].decode().startswith(told)
    assert process.returncode == code
    assert not target.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    (summary,) = json.loads(done.stdout)["files"]
    assert summary["rows"] == 40_000
    assert summary["resumed"] > 2 * 8192
    assert len(read(target)) == 40_000
    assert not work.exists()
