"""models/batch_scoring.py and the records below it: the same answers as row by row, to the last digit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.answer import columns
from models.answer_records import UNREADABLE_TIME, millionths
from models.batch_scoring import RowScorer, ScoreOptions
from models.batch_segment import Segment
from models.bundle import ModelBundle
from models.calibration import Calibration, TaskCalibration
from models.linear import LinearModel
from models.loading import load_predictor
from models.predictor import BundlePredictor, Outputs
from pipeline.columns import to_feedback
from pipeline.errors import DataError, FeedbackError
from pipeline.routing import RoutingPolicy, load_policy
from pipeline.rows import BAD_ROW, Row

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = "".join(f"第{i}天好，" for i in range(600))  # repetitions would be squeezed
TEXTS = [
    "快递很慢",
    "服务很好",
    "",
    "着火了，快来人",
    "a\0b",
    "贵，快递慢，服务员好",
    "ok",
    LONG,
    LONG + "后来着火了",
    "快递快，不慢",
    666,
    None,
    "一",
]
TIMES = [None, "", "2026-03-01 09:00", "2026年2月1日", "someday", datetime(2026, 2, 1, tzinfo=UTC), "2099-01-01"]


def row_by_row(
    predictor: BundlePredictor, policy: RoutingPolicy, options: ScoreOptions, rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """The answers by way of a Prediction for every row."""
    found = []
    for row in rows:
        error: FeedbackError | None = None
        try:
            if BAD_ROW in row:
                raise DataError("row_unreadable", str(row[BAD_ROW]))
            feedback = to_feedback(row, options.columns)
            (answer,) = predictor.answer_each([feedback.text])
            if isinstance(answer, FeedbackError):
                raise answer
        except FeedbackError as raised:
            error = raised
        if error is not None:
            found.append(columns(predictor.schema, None, error=error, model_version=predictor.model_version))
            found[-1] |= dict.fromkeys(("queue", "due_at", "zone", "queue_priority", "reasons"))
            if options.all_probabilities:
                names = [f"{task.name}_p_{key}" for task in predictor.schema.tasks for key in task.keys]
                found[-1] |= dict.fromkeys(names)
            continue
        prediction = answer.prediction
        if feedback.created_at is None and row.get("created_at") not in (None, ""):
            prediction = replace(prediction, flags=(*prediction.flags, UNREADABLE_TIME))
        decision = policy.decide(
            prediction, feedback, thresholds=predictor.calibration.thresholds(), now=NOW, text=answer.text
        )
        found.append(
            columns(predictor.schema, prediction, decision=decision, all_probabilities=options.all_probabilities)
        )
    return found


@pytest.fixture
def policy(tmp_path: Path) -> RoutingPolicy:
    file = tmp_path / "routing.toml"
    file.write_text(
        'timezone = "Asia/Shanghai"\n[queue]\ntask = "tags"\nlabels = {parcel = "road", money = "till"}\n'
        '[due]\ntask = "level"\nlabels = {low = "24 h", top = "30 min"}\n'
        "[zones.mood]\nauto = 0.9\nsuggest = 0.5\n[dangers]\nfile = 'dangers.toml'\n",
        encoding="utf-8",
    )
    (tmp_path / "dangers.toml").write_text(
        '[[dangers]]\ngroup = "fire"\nlevel = "top"\nterms = ["着火"]\n', encoding="utf-8"
    )
    return load_policy(file)


@pytest.mark.parametrize("every", [False, True])
def test_answers_are_those_of_single_rows(
    write_tiny: Callable[..., ModelBundle], policy: RoutingPolicy, every: bool
) -> None:
    tasks = {
        "mood": TaskCalibration(temperature=1.7, auto=0.9, suggest=0.6),
        "level": TaskCalibration(temperature=1.3, cuts=(0.4, 0.3)),
        "tags": TaskCalibration(mentioned=0.2),
        "parts": TaskCalibration(temperature=2.0, mentioned=0.3),
    }
    predictor = load_predictor(write_tiny(calibration=Calibration(tasks)).path)
    options = ScoreOptions(all_probabilities=every)
    rows: list[Row] = [{"id": i, "text": text, "created_at": time} for i, text in enumerate(TEXTS) for time in TIMES]
    rows += [{BAD_ROW: "torn"}, {"text": "很慢"}, {}]
    found = RowScorer(predictor, policy, options, NOW).answers(rows)
    expected = row_by_row(predictor, policy, options, rows)
    assert len(found) == len(expected)
    for row, ours, theirs in zip(rows, found, expected, strict=True):
        assert ours == theirs, row
        # Of aspects the order tells which is the most certain.
        assert list(ours["parts"] or {}) == list(theirs["parts"] or {}), row
        assert ours["reasons"] is None or len(ours["reasons"]) >= 1
        assert ours["due_at"] is None or ours["due_at"].utcoffset() == theirs["due_at"].utcoffset()


def test_the_shipped_schema(linear_bundle: Path) -> None:
    predictor = load_predictor(linear_bundle)
    rows: list[Row] = [
        {"text": text} for text in ("等了五天还没发货", "粥凉了，油条还行，老板娘热情", "hello", "着火了")
    ]
    options = ScoreOptions()
    found = RowScorer(predictor, load_policy(), options, NOW).answers(rows)
    assert found == row_by_row(predictor, load_policy(), options, rows)


def test_a_segment_comes_back_from_its_bytes(predictor: BundlePredictor) -> None:
    scorer = RowScorer(predictor, load_policy(), ScoreOptions(explain=True), NOW)
    segment = scorer.segment([{"text": text} for text in ("很慢", "", "很好")])
    again = Segment.from_bytes(segment.to_bytes())
    cells = scorer.scorer.cells()
    assert cells.columns(again) == cells.columns(segment)
    assert again.explained is not None
    assert again.explained[1] is None


def test_the_models_failure_at_one_text_is_that_texts_error(
    predictor: BundlePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LinearModel.logits

    def logits(self: LinearModel, texts: Sequence[str]) -> Outputs:
        if any("毒" in text for text in texts):
            raise RuntimeError(texts[0])
        return original(self, texts)

    monkeypatch.setattr(LinearModel, "logits", logits)
    found = RowScorer(predictor, load_policy(), ScoreOptions(), NOW).answers(
        [{"text": "很慢"}, {"text": "毒"}, {"text": "很好"}]
    )
    assert [row["mood"] for row in found] == ["bad", None, "fine"]
    assert found[1]["error"].startswith("model_failed: the model failed at this comment; ")


def test_numbers_that_are_none_are_failures(predictor: BundlePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    original = LinearModel.logits

    def broken(self: LinearModel, texts: Sequence[str]) -> Outputs:
        return Outputs({**original(self, texts).logits, "mood": np.full((len(texts), 3), np.nan)}, None)

    monkeypatch.setattr(LinearModel, "logits", broken)
    (found,) = RowScorer(predictor, load_policy(), ScoreOptions(), NOW).answers([{"text": "很慢"}])
    assert found["error"].startswith("model_failed: ")


def test_millionths_are_pythons_own_rounding() -> None:
    rng = np.random.default_rng(3)
    # Halves of the sixth place, which decimal and binary see differently, among them.
    values = np.concatenate([rng.random(20_000), (rng.integers(0, 10**6, 20_000) + 0.5) / 10**6, [0.0, 1.0, 5.0]])
    assert (millionths(values) / 10**6).tolist() == [round(value, 6) for value in values.tolist()]


def test_a_decision_tells_its_reasons_in_one_order(predictor: BundlePredictor, policy: RoutingPolicy) -> None:
    rows: list[Row] = [{"text": text} for text in ("快递很慢", "一点着火", "", "ok")]
    found = RowScorer(predictor, policy, ScoreOptions(), NOW).answers(rows)
    assert [row["reasons"] for row in found] == [
        ["tags:parcel", "below_auto:tags", "below_auto:level"],
        ["default_queue", "level:top", "below_auto:tags", "below_auto:level"],
        None,
        ["default_queue", "level:low", "out_of_scope"],
    ]
    places = {code: i for i, code in enumerate(policy.reason_codes())}
    for row in found:
        order = [places[code] for code in row["reasons"] or []]
        assert order == sorted(order)


def test_more_reasons_than_a_word_has_bits(predictor: BundlePredictor, policy: RoutingPolicy) -> None:
    many = replace(policy, queues={f"q{i}": "far" for i in range(80)} | dict(policy.queues))
    (found,) = RowScorer(predictor, many, ScoreOptions(), NOW).answers([{"text": "快递很慢"}])
    assert found["reasons"][0] == "tags:parcel"
    assert len(many.reason_codes()) > 80


def test_a_danger_beyond_the_cap_decides(predictor: BundlePredictor, policy: RoutingPolicy) -> None:
    rows: list[Row] = [{"text": LONG + end} for end in ("", "后来着火了", "没有着火")]
    cut, fire, none = RowScorer(predictor, policy, ScoreOptions(), NOW).answers(rows)
    assert (cut["truncated"], cut["zone"], cut["reasons"]) == (True, "review", none["reasons"])
    assert "truncated" in cut["reasons"]
    assert {*fire["reasons"]} - {*cut["reasons"]} == {"raised:top", "danger:fire"}
    assert fire["due_at"] == NOW + timedelta(minutes=30)


def test_a_contradiction_is_flagged_as_row_by_row(predictor: BundlePredictor, policy: RoutingPolicy) -> None:
    bad = "服务好，坏坏坏"
    (found,) = RowScorer(predictor, policy, ScoreOptions(), NOW).answers([{"text": bad}])
    assert (found["mood"], found["parts"], found["flags"]) == ("bad", {"staff": 1}, ["contradiction"])
    assert found["reasons"].count("contradiction") == 1
    assert [found] == row_by_row(predictor, policy, ScoreOptions(), [{"text": bad}])
