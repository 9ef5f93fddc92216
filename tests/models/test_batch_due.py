"""Rules, origins and desk calendars in scored files: the decisions of single rows, in every way of scoring them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.answer import columns
from models.batch import ScoreOptions, score_file
from models.batch_scoring import RowScorer
from models.batch_session import scoring_session
from models.bundle import ModelBundle
from models.loading import ResolvedModel
from models.predictor import BundlePredictor
from pipeline.columns import ColumnMap, to_feedback
from pipeline.errors import FeedbackError
from pipeline.readers import open_file
from pipeline.routing import CALENDAR_ESTIMATED, RoutingPolicy, load_policy
from pipeline.rows import Row

NOW = datetime(2099, 3, 4, 2, 0, tzinfo=UTC)
TEXTS = ("快递很慢", "很贵", "冒烟了，快递很慢", "快递慢，员贵", "好", "快递很好，坏", "要赔三倍，慢")
TIMES = ("2026-03-04 13:00", "2025-09-30 11:50", "2003-12-31 11:59", "2024-12-31 17:59", None)
ORIGINS = ((None, None), ("app", "vip"), ("Hotline", 2.0), ("hotline", "2"))
ROUTED = ("queue", "due_at", "zone", "reasons")

POLICY = """
timezone = "Asia/Shanghai"
[queue]
task = "tags"
labels = {parcel = "road", money = "till"}
calendars = {road = "office", desk = "office", till = "shifts"}
[due]
task = "level"
around_the_clock = ["top"]
labels = {low = "24 h", mid = "4 h", top = "30 min"}
[calendars.office]
hours = ["09:00-12:00", "13:30-18:00"]
[calendars.shifts]
timezone = "America/New_York"
workdays = "every_day"
hours = ["00:00-02:00", "09:00-24:00"]
[dangers]
file = "dangers.toml"
[flags.compensation]
terms = ["赔三倍"]
[customer]
tier = "level_of_customer"
[rules]
mode = "MODE"
[[rules.rule]]
name = "hotline"
when.channel = "hotline"
when.tier = "2"
then.queue = "desk"
then.within = "90 min"
[[rules.rule]]
name = "vip"
when.tier = "vip"
unless.flags = "danger"
then.level = "mid"
then.zone = "suggest"
[[rules.rule]]
name = "money"
when.flags = ["compensation", "several_desks"]
then.around_the_clock = true
[[rules.rule]]
name = "angry"
when.aspects.parcel = "negative"
when.scores.level = {at_least = 0.0}
when.satisfaction = {below = 3}
then.queue = "desk"
[[rules.rule]]
name = "unsure"
when.probabilities.mood.ok = {at_least = 0.05}
then.zone = "review"
[[rules.rule]]
name = "again"
when.flags = "repeat_contact"
then.queue = "never"
"""


@pytest.fixture(params=["first", "score"])
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> RoutingPolicy:
    file = tmp_path / "routing.toml"
    file.write_text(POLICY.replace("MODE", request.param), encoding="utf-8")
    words = '[[dangers]]\ngroup = "fire"\nlevel = "top"\nterms = ["冒烟"]\n'
    (tmp_path / "dangers.toml").write_text(words, encoding="utf-8")
    return load_policy(file)


@pytest.fixture
def rows() -> list[Row]:
    found = [
        {"id": f"{i}.{j}.{k}", "text": text, "created_at": time, "channel": channel, "level_of_customer": tier}
        for i, text in enumerate(TEXTS)
        for j, time in enumerate(TIMES)
        for k, (channel, tier) in enumerate(ORIGINS)
    ]
    return [{name: cell for name, cell in row.items() if cell is not None} for row in found]


def one_by_one(predictor: BundlePredictor, policy: RoutingPolicy, rows: Sequence[Row]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        feedback = to_feedback(row, ColumnMap())
        (answer,) = predictor.answer_each([feedback.text])
        assert not isinstance(answer, FeedbackError)
        decision = policy.decide(
            answer.prediction, feedback, thresholds=predictor.calibration.thresholds(), now=NOW, text=answer.text
        )
        told = columns(predictor.schema, answer.prediction, decision=decision)
        found.append({name: told[name] for name in ROUTED})
    return found


def test_rows_are_decided_as_comments_are(predictor: BundlePredictor, policy: RoutingPolicy, rows: list[Row]) -> None:
    policy.check(predictor.schema)
    expected = one_by_one(predictor, policy, rows)
    found = RowScorer(predictor, policy, ScoreOptions(), NOW).answers(rows)
    for row, ours, theirs in zip(rows, found, expected, strict=True):
        assert {name: ours[name] for name in ROUTED} == theirs, row
    queues = {row["queue"] for row in expected}
    assert queues == {"road", "till", "desk", "general"}
    reasons = {reason for row in expected for reason in row["reasons"]}
    assert {"rule:hotline", "rule:vip", "rule:angry", "rule:money", "raised:top", "raised:mid"} <= reasons
    assert "rule:again" not in reasons
    estimated = [row for row in expected if CALENDAR_ESTIMATED in row["reasons"]]
    assert 0 < len(estimated) < len(rows)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("extension", ["jsonl", "parquet"])
def test_files_are_decided_as_comments_are(  # noqa: PLR0917
    tiny_bundle: ModelBundle,
    predictor: BundlePredictor,
    policy: RoutingPolicy,
    rows: list[Row],
    tmp_path: Path,
    workers: int,
    extension: str,
) -> None:
    """By way of the cache, in which a text stands once for every origin."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for row in rows:
        row["level_of_customer"] = str(row["level_of_customer"]) if "level_of_customer" in row else None
        row.setdefault("created_at", None)
        row.setdefault("channel", None)
    source, target = tmp_path / f"in.{extension}", tmp_path / "out.jsonl"
    if extension == "parquet":
        pq.write_table(pa.Table.from_pylist(rows * 3), source)
    else:
        source.write_text("".join(json.dumps(row) + "\n" for row in rows * 3), encoding="utf-8")
    options, model = ScoreOptions(), ResolvedModel(tiny_bundle.path, None, "option")
    with scoring_session(predictor, policy, options, model=model, workers=workers) as session:
        summary = score_file(
            open_file(source), target, predictor=predictor, policy=policy, options=options, session=session
        )
    assert summary.cached == len(rows) * 3 - len(TEXTS) * len({*ORIGINS})
    lines = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    tiers = [{**row, "level_of_customer": row["level_of_customer"] or ""} for row in rows]
    for row, ours, theirs in zip(tiers * 3, lines, one_by_one(predictor, policy, tiers) * 3, strict=True):
        assert (ours["queue"], ours["zone"]) == (theirs["queue"], theirs["zone"])
        if row["created_at"] is None:  # their time runs from when the file was scored
            assert {*ours["reasons"]} - {CALENDAR_ESTIMATED} == {*theirs["reasons"]} - {CALENDAR_ESTIMATED}
        else:
            assert ours["reasons"] == theirs["reasons"]
            assert datetime.fromisoformat(ours["due_at"]) == theirs["due_at"], row


def test_a_run_that_was_stopped_goes_on_with_its_origins(
    predictor: BundlePredictor, policy: RoutingPolicy, rows: list[Row]
) -> None:
    """What an earlier run answered warms the cache by text and origin."""
    from models.batch_flow import Flow
    from models.batch_rows import RowReader

    def flow(session: Any) -> Flow:
        return Flow(session.pool, session.scorer.layout, cache=session.cache, explain=False, job_texts=8)

    with scoring_session(predictor, policy, ScoreOptions()) as first:
        incoming = RowReader(ColumnMap(), policy, now=NOW).read(rows)
        before = flow(first)
        before.add(1, incoming)
        ((_, segment),) = before.rest()
    with scoring_session(predictor, policy, ScoreOptions()) as second:
        after = flow(second)
        after.warm(incoming, segment)
        after.add(1, incoming)
        ((_, again),) = after.rest()
        assert after.cached == len(rows)
    assert (again.answers == segment.answers).all()


def test_a_policy_that_asks_for_no_origin_keeps_none(predictor: BundlePredictor, rows: list[Row]) -> None:
    from models.batch_rows import RowReader

    policy = load_policy()
    assert RowReader(ColumnMap(), policy, now=NOW).read(rows).origins is None
    found = RowScorer(predictor, policy, ScoreOptions(), NOW).answers(rows)
    assert all(row["due_at"] is None for row in found)  # another schema than the policy's
