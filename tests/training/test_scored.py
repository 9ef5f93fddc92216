"""Scoring labelled examples."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from models.calibration import Calibration
from models.predictor import Columns
from pipeline.errors import DataError
from pipeline.feedback import Example
from pipeline.prepare import prepare
from pipeline.schema import LabelSchema, schema_from_dict
from training.scored import score_examples


class Cheerful:
    """Calls every comment positive, low and without aspects; refuses what cannot be read."""

    model_version = "cheerful@0"

    def __init__(self, schema: LabelSchema) -> None:
        self.schema = schema
        self.calibration = Calibration.identity(schema)

    def predict_columns(self, texts: Sequence[str]) -> Columns:
        for text in texts:
            prepare(text)
        n = len(texts)
        p = {
            "sentiment": np.tile([0.1, 0.1, 0.8], (n, 1)),
            "category": np.full((n, 12), 1 / 12),
            "aspects": np.tile([0.7, 0.1, 0.1, 0.1], (n, 12, 1)),
            "urgency": np.tile([0.7, 0.1, 0.1, 0.1], (n, 1)),
        }
        return Columns(p, None, np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.intp), ((),) * n)


def test_examples_are_scored_beside_their_gold_labels(schema: LabelSchema, examples: list[Example]) -> None:
    scored = score_examples(Cheerful(schema), examples)
    metrics = scored.metrics("dev")
    positive = sum(example.labels["sentiment"] == "positive" for example in examples)
    assert metrics["dev/sentiment/accuracy"] == pytest.approx(positive / len(examples))
    assert metrics["dev/urgency/recall.critical"] == 0
    assert metrics["dev/aspects/recall"] == 0


def test_rows_without_labels_cannot_be_measured(schema: LabelSchema, make_example: Callable[..., Example]) -> None:
    with pytest.raises(DataError) as caught:
        score_examples(Cheerful(schema), [make_example("挺好"), make_example("挺差")])
    assert caught.value.message == (
        "expected rows labelled for one of sentiment, category, aspects, urgency; found none in 2 rows; "
        "a column that is not named like its task is given with --label-column TASK=COLUMN"
    )


def test_a_row_that_cannot_be_read_is_named(schema: LabelSchema, make_example: Callable[..., Example]) -> None:
    rows = [make_example("挺好", sentiment="positive"), make_example("坏\x00了", sentiment="negative")]
    with pytest.raises(DataError) as caught:
        score_examples(Cheerful(schema), rows)
    assert caught.value.code == "bad_row"
    assert caught.value.message.startswith("row 2 cannot be scored: ")
    assert "坏" not in caught.value.message


def test_a_task_without_any_gold_label_is_left_out(schema: LabelSchema, make_example: Callable[..., Example]) -> None:
    scored = score_examples(Cheerful(schema), [make_example("挺好", sentiment="positive")])
    assert [task.name for task in scored.tasks] == ["sentiment"]


def test_rows_of_another_schema_are_scored_for_the_common_tasks_only(
    schema: LabelSchema, make_example: Callable[..., Example]
) -> None:
    tasks = {
        "sentiment": {"kind": "single", "labels": ["good", "mixed", "bad"]},
        "urgency": schema.to_dict()["tasks"]["urgency"],
    }
    other = schema_from_dict({"tasks": tasks})
    scored = score_examples(Cheerful(schema), [make_example("一般", sentiment="mixed", urgency="low")], labels=other)
    assert [task.name for task in scored.tasks] == ["urgency"]
    stranger = schema_from_dict({"tasks": {"sentiment": tasks["sentiment"]}})
    with pytest.raises(DataError) as caught:
        score_examples(Cheerful(schema), [make_example("一般", sentiment="mixed")], labels=stranger)
    assert caught.value.code == "nothing_to_compare"
    assert caught.value.message == (
        "cheerful@0 has no task with the labels that these rows were read with; name another"
    )
