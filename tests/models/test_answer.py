"""models/answer.py: names and values of what people and programs get."""

from datetime import UTC, datetime

import pytest

from models.answer import column_kinds, columns, error_item, item
from models.predictor import BundlePredictor
from pipeline.errors import TextError
from pipeline.feedback import Decision
from pipeline.schema import LabelSchema

DUE = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)
DECISION = Decision("fire", DUE, "suggest", ("level:top", "below_auto:level"), priority=1)


def test_columns_of_the_shipped_schema(schema: LabelSchema) -> None:
    assert [name for name, _ in column_kinds(schema, routed=True)] == [
        "sentiment", "sentiment_probability", "category", "category_probability", "aspects",
        "urgency", "urgency_probability", "urgency_score", "satisfaction", "truncated", "flags",
        "queue", "due_at", "zone", "queue_priority", "reasons", "error", "model_version",
    ]  # fmt: skip


def test_kinds_of_columns(tiny_schema: LabelSchema) -> None:
    assert dict(column_kinds(tiny_schema, routed=True, all_probabilities=True)) == {
        "mood": "text", "mood_probability": "number", "mood_p_bad": "number", "mood_p_ok": "number",
        "mood_p_fine": "number", "level": "text", "level_probability": "number", "level_score": "number",
        "level_p_low": "number", "level_p_mid": "number", "level_p_top": "number", "tags": "labels",
        "tags_probability": "number", "tags_p_parcel": "number", "tags_p_money": "number", "parts": "aspects",
        "parts_p_parcel": "number", "parts_p_staff": "number", "satisfaction": "number", "truncated": "flag",
        "flags": "labels", "queue": "text", "due_at": "time", "zone": "text", "queue_priority": "integer",
        "reasons": "labels", "error": "text", "model_version": "text",
    }  # fmt: skip


@pytest.mark.parametrize("everything", [False, True])
def test_a_row_has_every_column_and_no_other(predictor: BundlePredictor, everything: bool) -> None:
    (prediction,) = predictor.predict(["快递慢，着火"])
    row = columns(predictor.schema, prediction, decision=DECISION, all_probabilities=everything)
    kinds = column_kinds(predictor.schema, routed=True, all_probabilities=everything)
    assert list(row) == [name for name, _ in kinds]
    assert [name for name, value in row.items() if value is None] == ["error"]


def test_values_of_a_row(predictor: BundlePredictor) -> None:
    (prediction,) = predictor.predict(["快递慢，着火"])
    row = columns(predictor.schema, prediction, decision=DECISION)
    assert (row["mood"], row["level"], row["tags"], row["parts"]) == ("bad", "top", ["parcel"], {"parcel": -1})
    assert (row["queue"], row["due_at"], row["zone"], row["queue_priority"]) == ("fire", DUE, "suggest", 1)
    assert row["reasons"] == ["level:top", "below_auto:level"]
    assert row["level_score"] == round(prediction.scores["level"], 6)
    assert row["model_version"] == predictor.model_version


def test_a_failed_row_tells_its_error_and_the_model(tiny_schema: LabelSchema) -> None:
    row = columns(tiny_schema, None, error=TextError("empty_text", "nothing there"), model_version="tiny@0")
    assert {name: value for name, value in row.items() if value is not None} == {
        "error": "empty_text: nothing there", "model_version": "tiny@0",
    }  # fmt: skip


def test_an_item_of_the_http_answer(predictor: BundlePredictor) -> None:
    (prediction,) = predictor.predict(["快递慢，着火"])
    body = item(prediction, decision=DECISION, id="a7")
    assert list(body) == [
        "id", "labels", "aspects", "level_score", "satisfaction", "decision", "truncated", "windows", "flags",
    ]  # fmt: skip
    assert body["id"] == "a7"
    assert [other["label"] for other in body["labels"]["level"]["alternatives"]] == ["mid", "low"]
    assert body["labels"]["tags"]["label"] == ["parcel"]
    (aspect,) = body["aspects"]
    assert set(aspect) == {"category", "polarity", "probability", "satisfaction"}
    assert (aspect["category"], aspect["polarity"]) == ("parcel", "negative")
    assert body["decision"] == {
        "queue": "fire", "due_at": "2026-03-01T04:30:00+00:00", "zone": "suggest",
        "reasons": ["level:top", "below_auto:level"], "priority": 1,
    }  # fmt: skip


def test_alternatives_are_the_likeliest_others(predictor: BundlePredictor) -> None:
    (prediction,) = predictor.predict(["很好"])
    others = item(prediction, decision=None)["labels"]["mood"]["alternatives"]
    assert [other["label"] for other in others] == ["ok", "bad"]
    assert others[0]["probability"] > others[1]["probability"]


def test_an_error_item() -> None:
    assert error_item(TextError("nul_character", "a NUL"), id="3") == {
        "id": "3", "error": {"code": "nul_character", "message": "a NUL"},
    }  # fmt: skip
