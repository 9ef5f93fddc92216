"""Fits the network and the linear model on the same rows, then how much each is believed, on rows that neither saw."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from models.joint import JointModel, Mix, mix_file, mixed
from models.predictor import LogitModel
from pipeline.schema import LabelSchema, Task
from training.baseline import fit_linear
from training.calibrate import surprise
from training.calibrate_rows import one_window
from training.columns import Labels, gold_columns, labeled
from training.config import TrainConfig
from training.few_rows import MIN_ROWS
from training.fit_network import fit_network
from training.fitting import Fitted
from training.progress import Progress
from training.rows import Parts, Rows

Logits = Mapping[str, np.ndarray]


def fit_joint(
    config: TrainConfig, schema: LabelSchema, parts: Parts, *, folder: Path, progress: Progress
) -> Fitted | None:
    """Fit both. None in the processes beside the first one."""
    network = fit_network(config, schema, parts, folder=folder, progress=progress)
    if network is None:
        return None
    progress.say("fitting the linear model")
    linear = fit_linear(parts.train.examples, schema=schema, settings=config.linear).model.halved()
    rows = one_window(network.model, parts.calibration)
    mixes = fit_mixes(schema, rows, network=network.model, linear=linear)
    for name, mix in mixes.items():
        progress.say(f"{name}: {mix.network:.2f} network + {mix.linear:.2f} linear")
    files = linear.files()
    body = {**json.loads(files["config.json"]), "mix": mix_file(mixes)}

    def together(model: LogitModel) -> JointModel:
        return JointModel(network=model, linear=linear, mixes=mixes, schema=schema)

    return Fitted(
        kind="joint",
        model=together(network.model),
        files={**network.files, **files, "config.json": json.dumps(body, ensure_ascii=False, indent=1).encode()},
        reference=together(network.reference) if network.reference else None,
        parent=network.parent,
        facts=network.facts,
        curves=network.curves,
    )


def fit_mixes(schema: LabelSchema, rows: Rows, *, network: LogitModel, linear: LogitModel) -> dict[str, Mix]:
    """For every task the two weights under which the labels of `rows`, unseen so far, are likeliest; equal ones where
    they are few. A row is read in one window.
    """
    if len(rows) < MIN_ROWS:
        return {task.name: Mix() for task in schema.tasks}
    gold = gold_columns(rows.examples, schema)
    one, other = network.logits(rows.texts).logits, linear.logits(rows.texts).logits
    return {task.name: _fit(task, gold.get(task.name), one, other) for task in schema.tasks}


def _fit(task: Task, gold: Labels | None, network: Logits, linear: Logits) -> Mix:
    known = None if gold is None else labeled(gold)
    if gold is None or known is None or known.sum() < MIN_ROWS:
        return Mix()
    column = gold[known]
    # In float64: a network answers in float32, in which the optimizer's small steps would vanish.
    one, other = ({task.name: model[task.name][known].astype(np.float64)} for model in (network, linear))

    def loss(weights: np.ndarray) -> float:
        mixes = {task.name: Mix(float(weights[0]), float(weights[1]))}
        return surprise(task, column, mixed(one, other, mixes)[task.name])

    found = minimize(loss, x0=[0.5, 0.5], bounds=[(0.0, 5.0), (0.0, 5.0)], method="L-BFGS-B")
    return Mix(round(float(found.x[0]), 4), round(float(found.x[1]), 4))
