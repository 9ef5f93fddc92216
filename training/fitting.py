"""One door to both kinds of model: rows in, a model that answers and the files of its bundle out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.predictor import LogitModel
from pipeline.schema import LabelSchema
from training.config import TrainConfig
from training.progress import Progress
from training.rows import Parts, Rows

if TYPE_CHECKING:
    from training.continuing import Parent  # brings torch, which the linear model does without


@dataclass(frozen=True)
class Unseen:
    """Rows with logits of models of the same kind that were fitted without them."""

    rows: Rows
    logits: Mapping[str, npt.NDArray[np.floating]]


@dataclass(frozen=True)
class Fitted:
    """A fitted model of either kind."""

    kind: str
    model: LogitModel  # as it will answer: numpy or onnxruntime
    files: Mapping[str, bytes]  # what a bundle holds of it
    reference: LogitModel | None = None  # as it was trained, where that is other code: torch
    unseen: "Unseen | None" = None  # where every training row calibrates
    parent: "Parent | None" = None  # the model that it went on from
    facts: Mapping[str, float] = field(default_factory=dict)  # parameters, epochs, …
    curves: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)  # name -> (epoch, value)


def fit(config: TrainConfig, schema: LabelSchema, parts: Parts, *, folder: Path, progress: Progress) -> Fitted | None:
    """Fit the model that the settings name. `folder` keeps the checkpoints of a network.

    None in the processes beside the first one of a training on several: the first one goes on alone.
    """
    if config.model == "linear":
        return _fit_linear(config, schema, parts, progress)
    # torch takes seconds to import, and the linear model does without it.
    from training.fit_joint import fit_joint
    from training.fit_network import fit_network

    chosen = fit_joint if config.model == "joint" else fit_network
    return chosen(config, schema, parts, folder=folder, progress=progress)


def _fit_linear(config: TrainConfig, schema: LabelSchema, parts: Parts, progress: Progress) -> Fitted:
    from training.baseline import fit_linear
    from training.crossfit import out_of_fold_logits

    folds = config.linear.folds
    done = 0
    with progress.bar("fitting", folds + 1) as advance:

        def step() -> None:
            nonlocal done
            done += 1
            advance(done, note="on all rows" if done == folds else f"fold {done + 1} of {folds}")

        unseen = None
        if folds:
            advance(0, note=f"fold 1 of {folds}")
            logits = out_of_fold_logits(
                parts.train, schema=schema, settings=config.linear, folds=folds, seed=config.seed, step=step
            )
            unseen = Unseen(parts.train, logits)
        fitted = fit_linear(parts.train.examples, schema=schema, settings=config.linear)
        advance(folds + 1)
    return Fitted("linear", fitted.model, fitted.files, unseen=unseen)


def settings_of(fitted: Fitted, config: TrainConfig) -> dict[str, Any]:
    """The resolved settings, with the version of the model that it went on from: `default` is another one next year."""
    body = config.to_dict()
    if fitted.parent:
        body["network"] = {**body["network"], "start": fitted.parent.version}
    return body


def with_settings(fitted: Fitted, config: TrainConfig) -> dict[str, bytes]:
    """The files of the bundle, the resolved settings added to config.json beside what the model itself keeps there."""
    kept = json.loads(fitted.files.get("config.json", b"{}"))
    body = json.dumps({**kept, "training": settings_of(fitted, config)}, ensure_ascii=False, indent=1)
    return {**fitted.files, "config.json": body.encode()}
