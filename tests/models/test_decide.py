"""models/decide.py: probabilities become labels."""

import numpy as np
import pytest

from models.calibration import Calibration, TaskCalibration
from models.decide import chosen_labels, chosen_polarities, confidence, decide
from pipeline.feedback import Prediction
from pipeline.schema import LabelSchema, schema_from_dict

PROBABILITIES = {
    "mood": np.array([[0.7, 0.2, 0.1]]),
    "level": np.array([[0.45, 0.25, 0.3]]),
    "tags": np.array([[0.9, 0.6]]),
    "parts": np.array([[[0.1, 0.6, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1]]]),
}


def decided(schema: LabelSchema, calibration: Calibration | None = None, **changed: np.ndarray) -> Prediction:
    (found,) = decide(
        schema,
        calibration or Calibration.identity(schema),
        PROBABILITIES | changed,
        model_version="tiny@0",
        truncated=np.array([True]),
        windows=np.array([3]),
        flags=(("out_of_scope",),),
    )
    return found


def test_every_kind_of_task(tiny_schema: LabelSchema) -> None:
    found = decided(tiny_schema)
    assert (found.tasks["mood"].label, found.tasks["mood"].probability) == ("bad", 0.7)
    assert (found.tasks["level"].label, found.tasks["level"].probability) == ("mid", 0.25)
    assert (found.tasks["tags"].label, found.tasks["tags"].probability) == (("parcel", "money"), 0.6)
    assert list(found.tasks["mood"].probabilities) == ["bad", "ok", "fine"]
    assert found.scores == {"level": pytest.approx(0.3)}
    assert found.satisfaction == pytest.approx(1 + 4 * (0.1 + 0.2 / 2))
    assert found.mentioned == {"parts": {"parcel": pytest.approx(0.9), "staff": pytest.approx(0.3)}}
    assert (found.truncated, found.windows, found.flags, found.model_version) == (
        True, 3, ("out_of_scope",), "tiny@0",
    )  # fmt: skip


def test_an_aspect_tells_polarity_and_satisfaction_of_its_own(tiny_schema: LabelSchema) -> None:
    (aspect,) = decided(tiny_schema).aspects["parts"]
    assert (aspect.category, aspect.polarity, aspect.probability) == ("parcel", -1, 0.6)
    assert aspect.mentioned == pytest.approx(0.9)
    assert aspect.probabilities == {
        "negative": pytest.approx(6 / 9), "neutral": pytest.approx(2 / 9), "positive": pytest.approx(1 / 9),
    }  # fmt: skip
    assert aspect.satisfaction == pytest.approx(1 + 4 * (1 / 9 + 1 / 9))


def test_aspects_come_most_certain_first(tiny_schema: LabelSchema) -> None:
    rows = np.array([[[0.4, 0.6, 0.0, 0.0], [0.1, 0.0, 0.0, 0.9]]])
    assert [aspect.category for aspect in decided(tiny_schema, parts=rows).aspects["parts"]] == ["staff", "parcel"]


def test_cuts_move_the_level(tiny_schema: LabelSchema) -> None:
    # P(y > low) = 0.55, P(y > mid) = 0.3
    rows = PROBABILITIES["level"]
    task = tiny_schema.task("level")
    assert chosen_labels(task, rows, TaskCalibration()) == [(1,)]
    assert chosen_labels(task, rows, TaskCalibration(cuts=(0.5, 0.3))) == [(2,)]
    assert chosen_labels(task, rows, TaskCalibration(cuts=(0.6, 0.4))) == [(0,)]


def test_the_mentioned_threshold_moves_aspects_and_tags(tiny_schema: LabelSchema) -> None:
    assert chosen_labels(tiny_schema.task("tags"), np.array([[0.9, 0.6]]), TaskCalibration(mentioned=0.7)) == [(0,)]
    assert chosen_polarities(PROBABILITIES["parts"], TaskCalibration(mentioned=0.3)).tolist() == [[-1, -1]]
    assert chosen_polarities(PROBABILITIES["parts"], TaskCalibration(mentioned=0.95)).tolist() == [[-2, -2]]


def test_no_tag_at_all_is_an_answer_with_its_own_certainty(tiny_schema: LabelSchema) -> None:
    found = decided(tiny_schema, tags=np.array([[0.1, 0.3]])).tasks["tags"]
    assert (found.label, found.probability) == ((), 0.7)


def test_confidence_of_one_of_several_and_of_no_label(tiny_schema: LabelSchema) -> None:
    tags, level = tiny_schema.task("tags"), tiny_schema.task("level")
    rows = np.array([[0.9, 0.6], [0.1, 0.3], [0.2, 0.8]])
    assert confidence(tags, rows, [(0, 1), (), (1,)]).tolist() == [0.6, 0.7, 0.8]
    assert confidence(level, PROBABILITIES["level"], [(2,)]).tolist() == [0.3]
    assert confidence(level, np.zeros((0, 3)), []).tolist() == []


def test_a_schema_without_satisfaction_and_alerts() -> None:
    schema = schema_from_dict({"tasks": {"intent": {"kind": "single", "labels": ["a", "b"]}}})
    (found,) = decide(
        schema,
        Calibration.identity(schema),
        {"intent": np.array([[0.4, 0.6]])},
        model_version="m",
        truncated=np.array([False]),
        windows=np.array([1]),
        flags=((),),
    )
    assert (found.tasks["intent"].label, found.satisfaction, found.scores, found.aspects) == ("b", None, {}, {})


def test_a_whole_that_all_its_parts_contradict_is_flagged(tiny_schema: LabelSchema) -> None:
    def states(*polarities: int) -> np.ndarray:
        return np.array([[np.eye(4)[0 if polarity == -2 else polarity + 2] for polarity in polarities]])

    bad, fine, middling = (np.array([row]) for row in ([0.9, 0.1, 0.0], [0.0, 0.1, 0.9], [0.1, 0.8, 0.1]))
    for mood, polarities, flagged in (
        (bad, (1, 1), True),
        (bad, (1, -2), True),
        (bad, (1, 0), False),
        (bad, (1, -1), False),
        (bad, (-2, -2), False),
        (fine, (-1, -1), True),
        (fine, (-2, -1), True),
        (fine, (-1, 0), False),
        (fine, (1, 1), False),
        (middling, (-1, -1), False),
    ):
        found = decided(tiny_schema, mood=mood, parts=states(*polarities))
        assert found.flags == (("out_of_scope", "contradiction") if flagged else ("out_of_scope",)), (mood, polarities)
