"""Identical comments are scored once, and answered as if they had not been."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models.loading import load_predictor
from models.predictor import Answer, BundlePredictor, Columns
from pipeline.errors import FeedbackError
from pipeline.prepare import Prepared
from serving.repeats import RepeatPredictor

TEXTS = [
    "快递太慢了",
    "味道不错，下次还来",
    "where is my order",
    "物流慢，客服差。" * 600,
    "好评",
    "好评",
    "好评!",
    "",
    "退款还没到账",
]


@pytest.fixture
def plain(linear_bundle: Path) -> BundlePredictor:
    return load_predictor(linear_bundle)


def passes(predictor: BundlePredictor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    original = predictor.columns

    def columns(prepared: Sequence[Prepared]) -> Columns:
        found.append(len(prepared))
        return original(prepared)

    monkeypatch.setattr(predictor, "columns", columns)
    return found


def told(answers: Sequence[Answer | FeedbackError]) -> list[object]:
    return [(answer.text, answer.prediction) if isinstance(answer, Answer) else answer.code for answer in answers]


def test_answers_are_the_same_to_the_last_bit_and_each_text_passes_once(
    plain: BundlePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = told(plain.answer_each(TEXTS))
    counted = passes(plain, monkeypatch)
    repeating = RepeatPredictor(plain, entries=100)
    assert [told(repeating.answer_each(TEXTS)) for _ in range(2)] == [expected, expected]
    assert counted == [7]  # nine, less one that is empty and one that is there twice; “好评!” is a text of its own
    assert repeating.passed == 7
    assert told(repeating.answer_each([TEXTS[0], "新的"]))[0] == expected[0]
    assert counted == [7, 1]


def test_the_least_recently_asked_for_is_dropped(plain: BundlePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = passes(plain, monkeypatch)
    repeating = RepeatPredictor(plain, entries=2)
    for text in ("一号", "二号", "一号", "三号", "一号", "二号"):
        repeating.predict([text])
    assert counted == [1, 1, 1, 1]


def test_what_is_no_number_is_not_kept(plain: BundlePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    original = plain.columns
    sick = True

    def columns(prepared: Sequence[Prepared]) -> Columns:
        found = original(prepared)
        if sick:
            found.probabilities["urgency"][:, 0] = np.nan
        return found

    monkeypatch.setattr(plain, "columns", columns)
    repeating = RepeatPredictor(plain, entries=10)
    assert told(repeating.answer_each(["坏了"])) == ["model_failed"]
    sick = False
    assert told(repeating.answer_each(["坏了"])) == told(plain.answer_each(["坏了"]))
