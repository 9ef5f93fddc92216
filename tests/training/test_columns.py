"""Codes of gold labels, and decisions equal to those of the product."""

from collections.abc import Callable

import numpy as np
import pytest

from models.calibration import Calibration, TaskCalibration
from models.decide import decide as decide_rows
from pipeline.errors import DataError, SchemaError
from pipeline.feedback import Example
from pipeline.schema import LabelSchema, schema_from_dict
from training.columns import decide, gold_columns


def test_gold_columns_hold_schema_positions_and_mark_what_is_unlabelled(
    schema: LabelSchema, make_example: Callable[..., Example]
) -> None:
    rows = [
        make_example("货到了三天箱子是湿的", category="logistics", aspects={"logistics": -1, "price": 1}),
        make_example("还可以吧", sentiment="neutral", aspects={}),
    ]
    gold = gold_columns(rows, schema)
    assert set(gold) == {"sentiment", "category", "aspects"}
    assert gold["sentiment"].tolist() == [-1, 1]
    assert gold["category"].tolist() == [3, -1]
    assert gold["aspects"][0].tolist() == [0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0]
    assert not gold["aspects"][1].any()


def test_multi_labels_become_zeros_and_ones(make_example: Callable[..., Example]) -> None:
    tags = schema_from_dict({"tasks": {"tags": {"kind": "multi", "labels": ["late", "rude"]}}})
    gold = gold_columns(
        [make_example("又晚又凶", tags=("rude",)), make_example("好", tags=()), make_example("哦")], tags
    )
    assert gold["tags"].tolist() == [[0, 1], [0, 0], [-1, -1]]


def test_an_unknown_label_or_form_is_told(schema: LabelSchema, make_example: Callable[..., Example]) -> None:
    with pytest.raises(SchemaError, match=r"task 'sentiment' has no label 'negativ'; did you mean 'negative'\?"):
        gold_columns([make_example("差", sentiment="negativ")], schema)
    with pytest.raises(DataError) as caught:
        gold_columns([make_example("差", aspects="price")], schema)
    assert caught.value.message == "task 'aspects' is aspect and needs a polarity for each label; found str"


def test_decisions_are_those_of_the_product() -> None:
    schema = schema_from_dict(
        {
            "tasks": {
                "mood": {"kind": "single", "labels": ["bad", "good"]},
                "level": {"kind": "ordinal", "labels": ["low", "mid", "top"]},
                "tags": {"kind": "multi", "labels": ["late", "rude", "dear"]},
                "sides": {"kind": "aspect", "labels": ["price", "taste"]},
            }
        }
    )
    random = np.random.default_rng(2)
    p = {task.name: random.dirichlet(np.ones(len(task.labels)), size=60) for task in schema.tasks[:2]}
    p |= {"tags": random.uniform(size=(60, 3)), "sides": random.dirichlet(np.ones(4), size=(60, 2))}
    calibration = Calibration(
        {"level": TaskCalibration(cuts=(0.6, 0.3)), "tags": TaskCalibration(mentioned=0.7), "sides": TaskCalibration()}
    )
    rows = decide_rows(
        schema,
        calibration,
        p,
        model_version="m@1",
        truncated=np.zeros(60, dtype=np.bool_),
        windows=np.ones(60, dtype=np.intp),
        flags=[()] * 60,
    )
    for name in ("mood", "level"):
        task, mine = schema.task(name), decide(schema.task(name), p[name], calibration.task(name))
        assert [task.keys[i] for i in mine.labels] == [row.tasks[name].label for row in rows]
        assert mine.confidence.tolist() == pytest.approx([row.tasks[name].probability for row in rows])
    tags = decide(schema.task("tags"), p["tags"], calibration.task("tags"))
    assert [tuple(np.array(["late", "rude", "dear"])[row == 1]) for row in tags.labels] == [
        row.tasks["tags"].label for row in rows
    ]
    assert tags.confidence.tolist() == pytest.approx([row.tasks["tags"].probability for row in rows])
    sides = decide(schema.task("sides"), p["sides"], calibration.task("sides"))
    for i, row in enumerate(rows):
        told = {aspect.category: (aspect.polarity, aspect.probability) for aspect in row.aspects["sides"]}
        mine = {
            key: (int(sides.labels[i, j]) - 2, pytest.approx(sides.confidence[i, j]))
            for j, key in enumerate(("price", "taste"))
            if sides.labels[i, j]
        }
        assert told == mine
