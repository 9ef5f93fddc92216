"""models/score_display.py: what people see in the terminal."""

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from models.evidence import Evidence
from models.predictor import BundlePredictor
from models.score_display import show_answer, show_error
from pipeline.errors import TextError
from pipeline.feedback import Decision

DECISION = Decision("fire", datetime(2026, 3, 1, 4, 30, tzinfo=UTC), "suggest", ("level:top",))


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120)


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_labels_in_both_languages_with_their_probability(predictor: BundlePredictor, console: Console) -> None:
    text = "快递慢，着火"
    (prediction,) = predictor.predict([text])
    show_answer(console, predictor.schema, text, prediction, decision=DECISION)
    shown = printed(console)
    for part in (
        "快递慢，着火", "心情 mood", "差 bad 100%", "最高 top", "parcel - ", "满意度 satisfaction  1.0 / 5",
        "queue fire · zone suggest · due 2026-03-01 04:30 UTC  (level:top)", predictor.model_version,
    ):  # fmt: skip
        assert part in shown


def test_flags_and_evidence(predictor: BundlePredictor, console: Console) -> None:
    text = "快递慢"
    prediction = replace(predictor.predict([text])[0], flags=("out_of_scope",), truncated=True)
    evidence = [Evidence("mood", "bad", 2, 3, 0.52)]
    show_answer(console, predictor.schema, text, prediction, decision=DECISION, evidence=evidence)
    assert "提示 flags" in printed(console)
    assert "out_of_scope, truncated" in printed(console)
    assert "mood bad: “慢” +52%" in printed(console)


def test_nothing_mentioned(predictor: BundlePredictor, console: Console) -> None:
    (prediction,) = predictor.predict(["一点"])
    show_answer(console, predictor.schema, "一点", prediction, decision=replace(DECISION, due_at=None, reasons=()))
    assert printed(console).count("无 none") == 2
    assert "due" not in printed(console)


def test_a_comment_cannot_write_to_the_terminal(predictor: BundlePredictor, console: Console) -> None:
    text = "很好\x1b]0;owned\x07\n[bold]坏[/bold]" + "长" * 80
    (prediction,) = predictor.predict([text])
    show_answer(console, predictor.schema, text, prediction, decision=DECISION)
    assert "\x1b" not in printed(console)
    assert "[bold]坏[/bold]" in printed(console)
    assert "…" in printed(console)


def test_an_error_names_the_comment_by_number(console: Console) -> None:
    show_error(console, 3, TextError("empty_text", "expected a comment"))
    assert printed(console) == "3: empty_text: expected a comment\n"
