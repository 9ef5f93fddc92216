"""models/calibration.py: what a bundle's calibration.json may hold."""

import json
from typing import Any

import pytest

from models.calibration import Calibration, TaskCalibration
from pipeline.errors import BundleError
from pipeline.routing import Thresholds
from pipeline.schema import LabelSchema


def test_round_trip_through_json(tiny_schema: LabelSchema) -> None:
    fitted = Calibration(
        {
            "mood": TaskCalibration(temperature=1.7, auto=0.95, suggest=0.5),
            "level": TaskCalibration(cuts=(0.4, 0.25)),
            "tags": TaskCalibration(mentioned=0.3),
            "parts": TaskCalibration(),
        }
    )
    assert Calibration.from_dict(json.loads(json.dumps(fitted.to_dict())), tiny_schema) == fitted


def test_a_task_without_calibration_is_left_as_it_is(tiny_schema: LabelSchema) -> None:
    assert Calibration.from_dict({"tasks": {}}, tiny_schema) == Calibration.identity(tiny_schema)
    assert Calibration().task("anything") == TaskCalibration()


def test_what_was_never_fitted_is_never_decided_unseen(tiny_schema: LabelSchema) -> None:
    for calibration in (Calibration.identity(tiny_schema), Calibration.from_dict({"tasks": {}}, tiny_schema)):
        assert [limits.auto > 1 for limits in calibration.thresholds().values()] == [True] * 4


def test_thresholds_for_routing() -> None:
    calibration = Calibration({"mood": TaskCalibration(auto=0.9, suggest=0.7)})
    assert calibration.thresholds() == {"mood": Thresholds(auto=0.9, suggest=0.7)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "expected an object 'tasks'"),
        ({"tasks": {"smell": {}}}, "task 'smell' is not in the schema"),
        ({"tasks": {"mood": {"auto": 0.5, "suggest": 0.6}}}, "task 'mood': auto (0.5) is below suggest (0.6)"),
        ({"tasks": {"mood": {"temperature": 0}}}, "task 'mood': temperature is at least 0.01; found 0.0"),
        ({"tasks": {"mood": {"temperature": "1"}}}, "task 'mood': temperature is a number; found str"),
        ({"tasks": {"mood": {"auto": True}}}, "task 'mood': auto is a number; found bool"),
        ({"tasks": {"mood": {"auto": float("nan")}}}, "task 'mood': auto is between 0 and 1000; found nan"),
        ({"tasks": {"mood": {"suggest": -1}}}, "task 'mood': suggest is between 0 and 1000; found -1"),
        ({"tasks": {"level": {"cuts": [0.5]}}}, "task 'level': expected 2 cuts; found 1"),
        ({"tasks": {"level": {"cuts": 0.5}}}, "task 'level': cuts is a list of numbers"),
        ({"tasks": {"mood": {"cuts": [0.5]}}}, "task 'mood': expected 0 cuts; found 1"),
        (
            {"tasks": {"mood": {"heat": 1}}},
            "task 'mood' holds other keys than auto, cuts, mentioned, suggest, temperature",
        ),
        (
            {"tasks": {"mood": []}},
            "task 'mood' holds other keys than auto, cuts, mentioned, suggest, temperature",
        ),
    ],
)
def test_refuses_what_makes_no_sense(tiny_schema: LabelSchema, data: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError) as raised:
        Calibration.from_dict(data, tiny_schema)
    assert raised.value.message == f"calibration.json: {message}"
