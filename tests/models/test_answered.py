"""models/answered.py: an item read back, and what people say in its place."""

from dataclasses import replace

import pytest

from models.answer import item
from models.answered import corrected, prediction_of
from models.predictor import BundlePredictor
from pipeline.feedback import Prediction
from pipeline.schema import LabelSchema


@pytest.fixture
def prediction(predictor: BundlePredictor) -> Prediction:
    (found,) = predictor.predict(["快递慢，着火"])
    return found


def test_an_item_is_read_back(prediction: Prediction, tiny_schema: LabelSchema) -> None:
    found = prediction_of(item(prediction, decision=None), tiny_schema, model_version="tiny@0")
    assert {name: task.label for name, task in found.tasks.items()} == {
        name: task.label for name, task in prediction.tasks.items()
    }
    for name, task in prediction.tasks.items():
        assert list(found.tasks[name].probabilities) == list(task.probabilities)  # in the schema's order
        assert found.tasks[name].probability == pytest.approx(task.probability, abs=1e-6)
        assert found.tasks[name].probabilities == pytest.approx(task.probabilities, abs=1e-6)  # all of three are told
    assert [(aspect.category, aspect.polarity) for aspect in found.aspects["parts"]] == [("parcel", -1)]
    assert found.scores == pytest.approx(dict(prediction.scores), abs=1e-6)
    assert (found.truncated, found.windows, found.flags) == (False, 1, prediction.flags)
    assert found.model_version == "tiny@0"


def test_what_an_item_does_not_tell_is_spread_over_the_other_labels(schema: LabelSchema) -> None:
    told = {"label": "billing", "probability": 0.5, "alternatives": [{"label": "refund", "probability": 0.3}]}
    found = prediction_of({"labels": {"category": told}, "aspects": []}, schema)
    probabilities = found.tasks["category"].probabilities
    assert list(probabilities) == list(schema.task("category").keys)
    assert (probabilities["billing"], probabilities["refund"]) == (0.5, 0.3)
    assert probabilities["safety"] == pytest.approx(0.02)
    assert sum(probabilities.values()) == pytest.approx(1.0)


def test_labels_of_another_schema_are_left_out(schema: LabelSchema) -> None:
    told = {"label": "no such one", "probability": 0.5, "alternatives": []}
    body = {"labels": {"category": told, "weather": told}, "aspects": [{"category": "moon", "polarity": "neutral"}]}
    found = prediction_of(body, schema)
    assert (dict(found.tasks), found.aspects) == ({}, {"aspects": ()})


def test_what_people_say_is_certain(prediction: Prediction, tiny_schema: LabelSchema) -> None:
    labels = {"level": "low", "tags": ("money",), "parts": {"staff": 1}, "mood": "fine"}
    found = corrected(replace(prediction, flags=("contradiction", "out_of_scope")), tiny_schema, labels)
    assert found.tasks["level"].probabilities == {"low": 1.0, "mid": 0.0, "top": 0.0}
    assert (found.tasks["level"].label, found.tasks["level"].probability) == ("low", 1.0)
    assert found.scores["level"] == 0.0
    assert found.tasks["tags"].label == ("money",)
    assert found.tasks["tags"].probabilities == {"parcel": 0.0, "money": 1.0}
    (aspect,) = found.aspects["parts"]
    assert (aspect.category, aspect.polarity, aspect.probability, aspect.satisfaction) == ("staff", 1, 1.0, 5.0)
    assert found.satisfaction == 5.0
    assert found.flags == ("out_of_scope",)


def test_the_rest_stays_as_the_model_said(prediction: Prediction, tiny_schema: LabelSchema) -> None:
    found = corrected(replace(prediction, flags=("contradiction",)), tiny_schema, {"level": "top"})
    assert found.scores["level"] == 1.0
    assert found.tasks["mood"] == prediction.tasks["mood"]
    assert found.aspects == prediction.aspects
    assert found.satisfaction == prediction.satisfaction
    assert found.flags == ("contradiction",)  # nobody settled it
