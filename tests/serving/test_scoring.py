"""One bad comment fails alone, whatever the model does with it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.loading import load_predictor
from models.predictor import BundlePredictor, Columns
from pipeline.errors import FeedbackError
from pipeline.feedback import Feedback
from pipeline.prepare import Prepared
from pipeline.routing import load_policy
from serving.intake import Refused
from serving.problems import RequestProblem
from serving.scoring import Scored, merged, score

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POISON = "毒"


class Sick(BundlePredictor):
    """Fails as it is told at a batch that holds the poison."""

    def __init__(self, well: BundlePredictor, failure: str) -> None:
        super().__init__(
            model=well.model, schema=well.schema, calibration=well.calibration, model_version=well.model_version
        )
        self.failure = failure

    def columns(self, prepared: Sequence[Prepared]) -> Columns:
        poisoned = any(POISON in entry.text for entry in prepared)
        if poisoned and self.failure == "raises":
            raise RuntimeError("the text was 13800138000")
        columns = super().columns(prepared)
        if poisoned and self.failure == "nan":
            columns.probabilities["sentiment"][-1, 0] = np.nan
        if poisoned and self.failure == "short":
            return Columns(columns.probabilities, None, columns.truncated, columns.windows, columns.flags[:-1])
        return columns


@pytest.fixture
def predictor(linear_bundle: Path) -> BundlePredictor:
    return load_predictor(linear_bundle)


def scored(predictor: BundlePredictor, *items: Feedback | Refused) -> Scored:
    comments = [entry for entry in items if isinstance(entry, Feedback)]
    received = [NOW] * len(comments)
    return merged(items, score(comments, predictor=predictor, policy=load_policy(), received=received))


@pytest.mark.parametrize("failure", ["raises", "nan", "short"])
def test_a_poison_text_among_eight_fails_alone(
    predictor: BundlePredictor, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [f"第{i}件迟到了" for i in range(7)]
    items = [Feedback(text=text, id=text) for text in [*texts[:4], POISON, *texts[4:]]]
    found = scored(Sick(predictor, failure), *items)
    assert list(found.errors) == [4]
    assert found.errors[4].code == "model_failed"
    assert found.results[4] == {
        "id": POISON,
        "error": {
            "code": "model_failed",
            "message": "the model failed at this comment; try again, and report it if it stays so",
        },
    }
    well = scored(predictor, *items)
    assert [found.results[i] for i in (0, 1, 2, 3, 5, 6, 7)] == [well.results[i] for i in (0, 1, 2, 3, 5, 6, 7)]
    assert "13800138000" not in caplog.text
    told = [record.fields["error"] for record in caplog.records if record.getMessage() == "model_failed"]  # type: ignore[attr-defined]
    assert told == [{"raises": "RuntimeError", "nan": "NotFinite", "short": "CountDiffers"}[failure]]


def test_bad_texts_and_refused_items_keep_their_places(predictor: BundlePredictor) -> None:
    refused = Refused(RequestProblem("invalid_item", "no"), id="r")
    found = scored(
        predictor, Feedback(text="\u200b", id="e"), refused, Feedback(text="好", id="g"), Feedback(text="\0")
    )
    assert [entry["id"] for entry in found.results] == ["e", "r", "g", ""]
    assert {position: error.code for position, error in found.errors.items()} == {
        0: "empty_text",
        1: "invalid_item",
        3: "nul_character",
    }


def test_answers_of_a_batch_equal_those_of_single_texts(predictor: BundlePredictor) -> None:
    texts = ["快递太慢了", "味道不错，下次还来" * 30, "ok", "退款还没到账，客服让我等", "好"]
    batch = predictor.predict_each(texts)
    for text, together in zip(texts, batch, strict=True):
        (alone,) = predictor.predict_each([text])
        assert not isinstance(alone, FeedbackError)
        assert not isinstance(together, FeedbackError)
        for task, answer in alone.tasks.items():
            assert together.tasks[task].label == answer.label
            assert together.tasks[task].probabilities == pytest.approx(answer.probabilities, abs=1e-9)


@pytest.mark.parametrize(
    "created_at", [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59), datetime(1, 1, 1, tzinfo=UTC), None]
)
def test_no_time_is_too_far_away(predictor: BundlePredictor, created_at: Any) -> None:
    found = scored(predictor, Feedback(text="东西坏了", created_at=created_at))
    assert found.errors == {}


def test_nothing_gives_nothing(predictor: BundlePredictor) -> None:
    assert scored(predictor) == Scored([], {})
