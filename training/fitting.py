"""One door to both kinds of model: rows in, a model that answers and the files of its bundle out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.predictor import LogitModel
from pipeline.schema import LabelSchema
from training.config import TrainConfig
from training.progress import Progress
from training.rows import Parts


@dataclass(frozen=True)
class Fitted:
    """A fitted model of either kind."""

    kind: str
    model: LogitModel  # as it will answer: numpy or onnxruntime
    files: Mapping[str, bytes]  # what a bundle holds of it
    reference: LogitModel | None = None  # as it was trained, where that is other code: torch
    facts: Mapping[str, float] = field(default_factory=dict)  # parameters, epochs, …
    curves: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)  # name -> (epoch, value)


def fit(config: TrainConfig, schema: LabelSchema, parts: Parts, *, folder: Path, progress: Progress) -> Fitted | None:
    """Fit the model that the settings name. `folder` keeps the checkpoints of a network.

    None in the processes beside the first one of a training on several: the first one goes on alone.
    """
    if config.model == "linear":
        return _fit_linear(config, schema, parts, progress)
    # torch takes seconds to import, and the linear model does without it.
    from training.fit_network import fit_network

    return fit_network(config, schema, parts, folder=folder, progress=progress)


def _fit_linear(config: TrainConfig, schema: LabelSchema, parts: Parts, progress: Progress) -> Fitted:
    from training.baseline import fit_linear

    done = 0
    with progress.bar("fitting", len(schema.tasks)) as advance:

        def step(task: str) -> None:
            nonlocal done
            advance(done, note=task)
            done += 1

        fitted = fit_linear(parts.train.examples, schema=schema, settings=config.linear, progress=step)
        advance(len(schema.tasks))
    return Fitted("linear", fitted.model, fitted.files)


def with_settings(fitted: Fitted, config: TrainConfig) -> dict[str, bytes]:
    """The files of the bundle, the resolved settings added to config.json beside what the model itself keeps there."""
    kept = json.loads(fitted.files.get("config.json", b"{}"))
    body = json.dumps({**kept, "training": config.to_dict()}, ensure_ascii=False, indent=1)
    return {**fitted.files, "config.json": body.encode()}
