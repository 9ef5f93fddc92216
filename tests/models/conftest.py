"""A schema with a task of every kind and a linear model for it, set by hand so that every answer can be foreseen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.bundle import ModelBundle, write_bundle
from models.calibration import Calibration
from models.linear import Block, LinearModel
from models.loading import load_predictor
from models.predictor import BundlePredictor
from pipeline.schema import LabelSchema, schema_from_dict

TERMS = tuple("好慢坏贵火店快递服务员的很，。一")
# Character -> weights of the logits. mood: bad ok fine; level: > low, > mid; tags: parcel money; parts: 4 states each
WEIGHTS: dict[str, dict[str, tuple[int, ...]]] = {
    "mood": {"好": (0, 0, 9), "慢": (9, 0, 0), "坏": (9, 0, 0), "贵": (6, 0, 0), "火": (9, 0, 0)},
    "level": {"好": (-9, 0), "慢": (6, -6), "火": (12, 12)},
    "tags": {"快": (9, 0), "递": (9, 0), "贵": (0, 18)},
    "parts": {
        "慢": (0, 4, 0, 0, 0, 0, 0, 0),
        "递": (-14, 0, 0, 0, 0, 0, 0, 0),
        "务": (0, 0, 0, 0, -14, 0, 0, 0),
        "好": (0, 0, 0, 0, 0, 0, 0, 4),
    },
}
BIASES: dict[str, tuple[int, ...]] = {
    "mood": (0, 1, 0),
    "level": (-1, -1),
    "tags": (-3, -3),
    "parts": (4, 0, 0, 0, 4, 0, 0, 0),
}


@pytest.fixture(scope="session")
def tiny_schema() -> LabelSchema:
    return schema_from_dict(
        {
            "name": "tiny",
            "version": "7",
            "tasks": {
                "mood": {
                    "kind": "single",
                    "zh": "心情",
                    "labels": [
                        {"key": "bad", "zh": "差", "satisfaction": 0.0},
                        {"key": "ok", "zh": "中", "satisfaction": 0.5},
                        {"key": "fine", "zh": "好", "satisfaction": 1.0},
                    ],
                },
                "level": {"kind": "ordinal", "labels": ["low", "mid", {"key": "top", "zh": "最高", "alert": True}]},
                "tags": {"kind": "multi", "labels": ["parcel", "money"]},
                "parts": {"kind": "aspect", "labels": ["parcel", "staff"]},
            },
        }
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_schema: LabelSchema) -> LinearModel:
    weights = {
        name: np.array([rows.get(term, (0,) * len(BIASES[name])) for term in TERMS], dtype=np.float32)
        for name, rows in WEIGHTS.items()
    }
    biases = {name: np.array(values, dtype=np.float32) for name, values in BIASES.items()}
    block = Block("char", (1, 1), TERMS, np.ones(len(TERMS), dtype=np.float32))
    return LinearModel(schema=tiny_schema, blocks=[block], weights=weights, biases=biases)


@pytest.fixture
def write_tiny(tiny_model: LinearModel, tmp_path: Path) -> Callable[..., ModelBundle]:
    """`write_tiny(folder="bundle", name="tiny")`: the model as a bundle in the test's own folder."""

    def write(folder: str = "bundle", *, name: str = "tiny", calibration: Calibration | None = None) -> ModelBundle:
        return write_bundle(
            tmp_path / folder,
            kind="linear",
            name=name,
            schema=tiny_model.schema,
            calibration=calibration or Calibration.identity(tiny_model.schema),
            files=tiny_model.files(),
            metrics={"dev/mood/accuracy": 0.5},
            card="# tiny\n",
        )

    return write


@pytest.fixture
def tiny_bundle(write_tiny: Callable[..., ModelBundle]) -> ModelBundle:
    return write_tiny()


@pytest.fixture
def predictor(tiny_bundle: ModelBundle) -> BundlePredictor:
    return load_predictor(tiny_bundle.path)
