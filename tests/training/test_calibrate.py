"""Temperatures, cuts and thresholds found again where they were put in."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration import Calibration
from models.heads import probabilities
from pipeline.errors import DataError
from pipeline.routing import NEVER
from pipeline.schema import LabelSchema, Task, schema_from_dict
from training.calibrate import fit_calibration, fit_temperature
from training.columns import decide
from training.coverage import coverage
from training.metrics import measure

ROWS = 3000


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def drawn(task: Task, logits: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """Gold labels drawn from the probabilities of the logits, so that those are calibrated."""
    p = probabilities(task, logits)
    if p.ndim == 3 or task.kind != "multi":
        edges = p.cumsum(axis=-1)
        return np.asarray((random.uniform(size=(*p.shape[:-1], 1)) > edges).sum(axis=-1).clip(0, p.shape[-1] - 1))
    return np.asarray(random.uniform(size=p.shape) < p, dtype=np.int64)


@pytest.mark.parametrize("name", ["sentiment", "urgency", "aspects"])
def test_temperature_is_found_again(schema: LabelSchema, random: np.random.Generator, name: str) -> None:
    task = schema.task(name)
    shape = {"sentiment": (ROWS, 3), "urgency": (ROWS, 3), "aspects": (ROWS, 12, 4)}[name]
    logits = random.normal(0, 2, size=shape)
    gold = drawn(task, logits, random)
    assert fit_temperature(task, gold, logits) == pytest.approx(1, abs=0.1)
    assert fit_temperature(task, gold, logits * 3) == pytest.approx(3, abs=0.3)
    boastful = measure(task, gold, probabilities(task, logits * 3))["ece"]
    mended = measure(task, gold, probabilities(task, logits * 3, 3.0))["ece"]
    assert mended < boastful / 2


def test_few_rows_leave_everything_as_it_is(schema: LabelSchema, random: np.random.Generator) -> None:
    task = schema.task("urgency")
    logits = random.normal(size=(30, 3))
    found = fit_calibration(schema, {"urgency": drawn(task, logits, random)}, {"urgency": logits}).task("urgency")
    assert (found.temperature, found.cuts) == (1.0, (0.5, 0.5, 0.5))


@pytest.mark.parametrize(("rows", "automatic"), [(49, False), (50, True)])
def test_few_rows_prove_no_precision(schema: LabelSchema, rows: int, automatic: bool) -> None:
    """Though the model was right each time."""
    gold = np.arange(rows) % 3
    found = fit_calibration(schema, {"sentiment": gold}, {"sentiment": 9 * np.eye(3)[gold]}).task("sentiment")
    assert (found.auto < NEVER) is automatic
    assert found.suggest < NEVER


def test_cuts_find_rare_high_levels(schema: LabelSchema, random: np.random.Generator) -> None:
    """A model that is too shy about the upper levels gets lower cuts and a better kappa."""
    task = schema.task("urgency")
    grade = random.uniform(0, 4, size=ROWS)
    gold = grade.astype(np.int64)
    logits = 2 * (grade[:, None] - np.array([1, 2, 3])) - np.array([1.0, 2.5, 3.5]) + random.normal(0, 0.3, (ROWS, 3))
    found = fit_calibration(schema, {"urgency": gold}, {"urgency": logits}).task("urgency")
    p = probabilities(task, logits, found.temperature)
    assert found.cuts[2] < 0.4
    assert measure(task, gold, p, calibration=found)["qwk"] > measure(task, gold, p)["qwk"] + 0.05


def test_mention_threshold_moves_where_it_gains(schema: LabelSchema, random: np.random.Generator) -> None:
    task = schema.task("aspects")
    gold = random.choice(4, p=(0.8, 0.1, 0.05, 0.05), size=(ROWS, 12))
    logits = random.normal(0, 0.5, size=(ROWS, 12, 4))
    np.put_along_axis(logits, gold[..., None], 2.0, axis=2)
    logits[..., 0] += np.where(gold > 0, 2.6, 0.0)
    found = fit_calibration(schema, {"aspects": gold}, {"aspects": logits}).task("aspects")
    p = probabilities(task, logits, found.temperature)
    assert found.mentioned < 0.5
    assert measure(task, gold, p, calibration=found)["f1"] > measure(task, gold, p)["f1"]


def test_zones_keep_the_precision_wanted(schema: LabelSchema, random: np.random.Generator) -> None:
    task = schema.task("sentiment")
    logits = random.normal(0, 2, size=(2 * ROWS, 3))
    gold = drawn(task, logits, random)
    first, second = slice(0, ROWS), slice(ROWS, None)
    found = fit_calibration(schema, {"sentiment": gold[first]}, {"sentiment": logits[first]}, precision=0.9).task(
        "sentiment"
    )
    assert 0 < found.suggest < found.auto < 1
    p = probabilities(task, logits[second], found.temperature)
    reached = coverage(task, gold[second], decide(task, p, found)).at(found.auto)
    assert reached["precision"] == pytest.approx(0.9, abs=0.03)
    assert reached["coverage"] > 0.3


def test_a_hopeless_task_is_never_automatic(schema: LabelSchema, random: np.random.Generator) -> None:
    gold, logits = random.integers(0, 3, size=500), random.normal(size=(500, 3))
    found = fit_calibration(schema, {"sentiment": gold}, {"sentiment": logits}).task("sentiment")
    assert (found.auto, found.suggest) == (NEVER, NEVER)


def test_unlabelled_rows_and_tasks_are_left_out(schema: LabelSchema, random: np.random.Generator) -> None:
    task = schema.task("sentiment")
    logits = random.normal(0, 2, size=(400, 3))
    gold = drawn(task, logits, random)
    masked = np.where(np.arange(400) < 300, gold, -1)
    part = fit_calibration(schema, {"sentiment": gold[:300]}, {"sentiment": logits[:300]})
    assert fit_calibration(schema, {"sentiment": masked}, {"sentiment": logits}) == part
    assert part.task("urgency") == Calibration.identity(schema).task("urgency")


def test_the_fitted_calibration_survives_its_file(random: np.random.Generator) -> None:
    schema = schema_from_dict({"tasks": {"tags": {"kind": "multi", "labels": ["late", "rude", "dear"]}}})
    logits = random.normal(0, 2, size=(300, 3))
    gold = drawn(schema.tasks[0], logits, random)
    fitted: Mapping[str, NDArray[np.int64]] = {"tags": gold}
    calibration = fit_calibration(schema, fitted, {"tags": logits})
    assert calibration.task("tags").temperature != 1
    assert Calibration.from_dict(calibration.to_dict(), schema) == calibration


def test_rows_must_align(schema: LabelSchema) -> None:
    with pytest.raises(DataError) as caught:
        fit_calibration(schema, {"sentiment": np.zeros(3, dtype=np.int64)}, {"sentiment": np.zeros((2, 3))})
    assert caught.value.message == "task 'sentiment': 3 gold rows but 2 rows of logits"
