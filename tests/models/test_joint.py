"""Two models that answer together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.bundle import ModelBundle
from models.calibration import Calibration
from models.heads import head_width
from models.joint import JointModel, Mix, _mixes, mix_file
from models.predictor import Outputs
from pipeline.errors import BundleError
from pipeline.schema import LabelSchema


class Constant:
    """Puts out one number everywhere."""

    def __init__(self, schema: LabelSchema, value: float, *, embedded: bool) -> None:
        self.schema, self.value, self.embedded = schema, value, embedded

    def logits(self, texts: Sequence[str]) -> Outputs:
        shapes = {task.name: (len(texts), *head_width(task)) for task in self.schema.tasks}
        embeddings = np.ones((len(texts), 4)) if self.embedded else None
        return Outputs({name: np.full(shape, self.value) for name, shape in shapes.items()}, embeddings)

    def windows(self, text: str) -> list[tuple[int, int]]:
        half = len(text) // 2 if self.embedded else len(text)
        return [(0, half), (half, len(text))] if half < len(text) else [(0, len(text))]

    def known_fraction(self, text: str) -> float:
        return 0.25 if self.embedded else 1.0


def joint(schema: LabelSchema, mixes: Mapping[str, Mix]) -> JointModel:
    network, linear = Constant(schema, 2.0, embedded=True), Constant(schema, -1.0, embedded=False)
    return JointModel(network=network, linear=linear, mixes=mixes, schema=schema)


def test_logits_are_added_with_the_tasks_own_weights(schema: LabelSchema) -> None:
    mixes = {task.name: Mix(0.25, 0.5) for task in schema.tasks} | {"urgency": Mix(1.0, 3.0)}
    found = joint(schema, mixes).logits(["a", "b"])
    assert np.all(found.logits["sentiment"] == 0.0)
    assert np.all(found.logits["urgency"] == -1.0)
    assert found.logits["aspects"].shape == (2, 12, 4)
    assert found.embeddings is not None
    assert found.embeddings.shape == (2, 4)


def test_windows_and_known_tokens_are_the_networks(schema: LabelSchema) -> None:
    model = joint(schema, {task.name: Mix() for task in schema.tasks})
    assert model.windows("abcd") == [(0, 2), (2, 4)]
    assert model.known_fraction("abcd") == 0.25


@pytest.fixture
def bundle(schema: LabelSchema, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> ModelBundle:
    """A bundle of which only config.json is read."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    mix = mix_file({task.name: Mix(0.7, 0.3) for task in schema.tasks})
    (folder / "config.json").write_text(json.dumps({"mix": mix}), encoding="utf-8")
    return ModelBundle(folder, {}, schema, Calibration.identity(schema))


def test_the_mix_is_read_back(bundle: ModelBundle) -> None:
    assert set(_mixes(bundle).values()) == {Mix(0.7, 0.3)}


@pytest.mark.parametrize(
    "mix", [None, {}, {"network": 1.0}, {"network": 1.0, "linear": "much"}, {"network": float("nan"), "linear": 1.0}]
)
def test_a_mix_that_cannot_be_used_is_refused(bundle: ModelBundle, mix: object) -> None:
    body = bundle.json("config.json")
    body["mix"]["category"] = mix
    (bundle.path / "config.json").write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises(BundleError, match=r"expected two numbers under mix\.category, network and linear; found") as e:
        _mixes(replace(bundle))
    assert e.value.code == "mix_invalid"
