"""Two models fitted together: how much each is believed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.heads import head_width
from models.loading import load_predictor
from models.predictor import Outputs
from pipeline.feedback import Example
from pipeline.schema import LabelSchema
from training.columns import gold_columns
from training.fit_joint import fit_mixes
from training.rows import Rows
from training.train import TrainResult

ROWS = 400


class Imagined:
    """A model whose logits of a row lean to its gold label by `skill`."""

    def __init__(self, rows: Rows, schema: LabelSchema, *, skill: float, seed: int) -> None:
        noise, gold = np.random.default_rng(seed), gold_columns(rows.examples, schema)
        self.found = {}
        for task in schema.tasks:
            width = head_width(task)
            logits = noise.normal(size=(len(rows), *width))
            if task.name == "sentiment":
                logits += skill * np.eye(width[-1])[gold[task.name]]
            self.found[task.name] = logits.astype(np.float32)  # as a network's are

    def logits(self, texts: Sequence[str]) -> Outputs:
        assert len(texts) == ROWS
        return Outputs(self.found, None)


@pytest.fixture
def rows(examples: list[Example]) -> Rows:
    many = [examples[i % len(examples)] for i in range(ROWS)]
    return Rows(many, tuple(example.text for example in many), 0)


def test_the_better_model_is_believed_more(rows: Rows, schema: LabelSchema) -> None:
    good, poor = (Imagined(rows, schema, skill=skill, seed=i) for i, skill in enumerate((3.0, 0.5)))
    mix = fit_mixes(schema, rows, network=good, linear=poor)["sentiment"]  # type: ignore[arg-type]
    swapped = fit_mixes(schema, rows, network=poor, linear=good)["sentiment"]  # type: ignore[arg-type]
    assert mix.network > 2 * mix.linear > 0
    assert (mix.network, mix.linear) == pytest.approx((swapped.linear, swapped.network), abs=1e-2)


def test_too_few_rows_mix_half_and_half(rows: Rows, schema: LabelSchema) -> None:
    few = rows.pick(range(5))
    unused: Any = SimpleNamespace()
    mixes = fit_mixes(schema, few, network=unused, linear=unused)
    assert {(mix.network, mix.linear) for mix in mixes.values()} == {(0.5, 0.5)}


def test_joint_from_files_to_bundle(run_training: Callable[..., TrainResult], tmp_path: Path) -> None:
    bundle = run_training("joint", "epochs=1").bundle
    assert bundle.kind == "joint"
    assert {"model.onnx", "model.safetensors", "weights.safetensors", "vocabulary.json"} <= {
        path.name for path in bundle.path.iterdir()
    }
    settings = bundle.json("config.json")
    assert settings["training"]["model"] == "joint"
    assert {"network", "linear"} <= set(settings["training"])
    (answer,) = load_predictor(bundle.path).predict(["客服态度很好"])
    assert answer.model_version == bundle.version
