"""The report: names, slices, reliability and its plain form."""

import json
from typing import Any

import numpy as np
import pytest

from pipeline.schema import schema_from_dict
from training.evaluate import report_on


def test_figures_are_named_by_split_task_and_label(make_scored: Any) -> None:
    report = report_on(make_scored(), split="dev", draws=100)
    for name in (
        "dev/urgency/recall.critical",
        "dev/urgency/qwk",
        "dev/sentiment/macro_f1",
        "dev/aspects/f1.logistics",
        "dev/category/aurc",
        "dev/category/auto_coverage",
    ):
        assert name in report.metrics
    assert report.figure("urgency", "qwk") == report.metrics["dev/urgency/qwk"]
    assert report.figure("urgency", "f1.unheard_of") is None
    interval = report.intervals["dev/urgency/qwk"]
    assert interval.low < interval.value < interval.high
    assert all(np.isfinite(value) for value in report.metrics.values())


def test_reliability_tells_the_ece(make_scored: Any) -> None:
    report = report_on(make_scored(), draws=100)
    for part in report.tasks:
        confidence, right, rows = part.reliability.T
        told = float((np.abs(confidence - right) * rows).sum() / rows.sum())
        assert told == pytest.approx(report.figure(part.task.name, "ece"))


def test_confusion_holds_every_row_once(make_scored: Any) -> None:
    scored = make_scored(rows=120)
    parts = {part.task.name: part for part in report_on(scored, draws=100).tasks}
    assert parts["aspects"].confusion is None
    confusion = parts["sentiment"].confusion
    assert confusion.sum() == 120
    assert confusion.sum(axis=1).tolist() == np.bincount(scored.gold["sentiment"]).tolist()


def test_slices_have_figures_of_their_own_rows(make_scored: Any) -> None:
    scored = make_scored(rows=100)
    report = report_on(scored, draws=100)
    shop = next(part for part in report.slices if part.name == "source=shop")
    right = scored.decided(scored.schema.task("sentiment")).labels == scored.gold["sentiment"]
    assert shop.rows == 50
    assert shop.figures["sentiment/accuracy"] == pytest.approx(right[::2].mean())


def test_a_baseline_is_set_beside(make_scored: Any) -> None:
    report = report_on(make_scored(skill=3.0), reference=make_scored(skill=1.0, seed=1, version="old@1"), draws=100)
    assert report.baseline is not None
    assert report.baseline.reference == "old@1"
    assert report.baseline.verdict("category/macro_f1") == "better"


def test_the_plain_form_is_json_without_texts(make_scored: Any) -> None:
    report = report_on(make_scored(), reference=make_scored(seed=1), draws=100)
    document = json.dumps(report.to_dict(), ensure_ascii=False, allow_nan=False)
    assert "东西收到了" not in document
    plain = json.loads(document)
    assert plain["metrics"] == report.metrics
    assert plain["tasks"]["urgency"]["kind"] == "ordinal"
    assert len(plain["tasks"]["category"]["risk_coverage"]) <= 100


def test_any_schema_can_be_measured(make_scored: Any) -> None:
    labels = schema_from_dict({"tasks": {"intent": {"kind": "single", "labels": [f"i{n}" for n in range(118)]}}})
    report = report_on(make_scored(labels=labels, rows=500, skill=6.0), draws=100)
    assert report.figure("intent", "macro_f1") == pytest.approx(1, abs=0.3)
    assert [part.task.name for part in report.tasks] == ["intent"]
