"""Eight bits for a trained network, kept only where it answers as it does in float32."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from safetensors.numpy import load

from models.bundle import ENGINE
from models.calibration import Calibration
from models.decide import chosen_labels, chosen_polarities
from models.fused_graph import unfusable
from models.joint import JointModel
from models.onnx_model import WEIGHTS, NetworkModel, onnx_network
from models.predictor import BundlePredictor, Columns, LogitModel
from models.quantize import TEXTS, int8_graph
from models.shared_weights import refer_to_weights
from models.tokenization import FeedbackTokenizer
from pipeline.errors import BundleError
from pipeline.prepare import Prepared, prepare
from pipeline.schema import Kind, LabelSchema, Task
from training.fitting import Fitted
from training.rows import Parts

LIMIT = 0.01
"""Share of a task's labels that 8 bits may change; of an aspect task every category of a comment counts as one."""

MEASURED = 10_000  # texts at most


@dataclass(frozen=True)
class Engine:
    """A network in 8 bits."""

    graph: bytes  # content of engine.onnx
    model: LogitModel  # as it will answer
    changed: Mapping[str, float]  # task -> share of labels that differ from those in float32

    @property
    def fit(self) -> bool:
        """Whether it may take the network's place."""
        return all(share <= LIMIT for share in self.changed.values())

    @property
    def facts(self) -> dict[str, float]:
        """For the card and, under train/, for metrics.json."""
        return {f"changed_by_8_bits_{task}": share for task, share in self.changed.items()}

    def told(self) -> str:
        """One line on what 8 bits change."""
        shares = ", ".join(f"{task} {share:.2%}" for task, share in self.changed.items())
        return f"labels that 8 bits change: {shares}"


def engine_of(
    fitted: Fitted,
    schema: LabelSchema,
    calibration: Calibration,
    parts: Parts,
    *,
    seed: int,
    advance: Callable[[float], None] | None = None,
) -> Engine:
    """The engine of a model that was just fitted: calibrated on training rows, measured on those held out and dev's."""
    chosen = np.random.default_rng(seed).permutation(len(parts.train))[:TEXTS]
    return build_engine(
        fitted.model,
        fitted.files,
        schema,
        calibration,
        samples=[parts.train.texts[i] for i in chosen],
        measured=[prepare(text) for text in (*parts.dev.texts, *parts.calibration.texts)],
        advance=advance,
    )


def build_engine(
    model: LogitModel,
    files: Mapping[str, bytes],
    schema: LabelSchema,
    calibration: Calibration,
    *,
    samples: Sequence[str],
    measured: Sequence[Prepared],
    advance: Callable[[float], None] | None = None,
) -> Engine:
    """The network of `model`, which answers in float32 and whose `files` these are, in 8 bits.

    `samples`: prepared texts that the scales are calibrated on; `measured`: others, on which labels are compared.
    Raises BundleError `not_fusable` where its architecture has no such graph.
    """
    config = json.loads(files["encoder.json"])["config"]
    reason = unfusable(config)
    if reason is not None:
        raise BundleError("not_fusable", f"the network has no form in 8 bits: {reason}; it goes on in float32")
    network = _network(model)
    weights = {name: values.astype(np.float32) for name, values in load(files[WEIGHTS]).items()}
    rows = network.tokenizer.encode(_in_windows(samples, network.tokenizer))
    graph = refer_to_weights(
        int8_graph(weights, config, schema, rows=rows, pad_id=network.tokenizer.pad_id, advance=advance),
        files[WEIGHTS],
    )
    eight = onnx_network(graph, files[WEIGHTS], tokenizer=network.tokenizer, schema=schema)
    engine: LogitModel = eight
    if isinstance(model, JointModel):
        engine = JointModel(network=eight, linear=model.linear, mixes=model.mixes, schema=schema)
    changed = changed_labels(schema, calibration, measured[:MEASURED], reference=model, candidate=engine)
    return Engine(graph, engine, changed)


def changed_labels(
    schema: LabelSchema,
    calibration: Calibration,
    texts: Sequence[Prepared],
    *,
    reference: LogitModel,
    candidate: LogitModel,
) -> dict[str, float]:
    """Task -> share of the labels of `texts` that differ between two forms of one model."""
    one, other = (
        BundlePredictor(model=model, schema=schema, calibration=calibration, model_version="").columns(texts)
        for model in (reference, candidate)
    )
    found = {}
    for task in schema.tasks:
        labels = [_labels(task, columns, calibration) for columns in (one, other)]
        found[task.name] = float(np.mean([a != b for a, b in zip(*labels, strict=True)])) if len(texts) else 0.0
    return found


def _labels(task: Task, columns: Columns, calibration: Calibration) -> list[Any]:
    """The labels of all texts, of an aspect task one of every category of a text."""
    rows, settings = columns.probabilities[task.name], calibration.task(task.name)
    if task.kind is Kind.ASPECT:
        return list(chosen_polarities(rows, settings).ravel())
    return list(chosen_labels(task, rows, settings))


def with_engine(fitted: Fitted, engine: Engine) -> Fitted:
    """The fitted model as it will answer: in 8 bits."""
    facts = {**fitted.facts, **engine.facts}
    return replace(fitted, model=engine.model, files={**fitted.files, ENGINE: engine.graph}, facts=facts)


def _network(model: LogitModel) -> NetworkModel:
    inner = model.network if isinstance(model, JointModel) else model
    if not isinstance(inner, NetworkModel):
        raise BundleError("not_fusable", "a linear model has no network to put into 8 bits; it is fast as it is")
    return inner


def _in_windows(texts: Sequence[str], tokenizer: FeedbackTokenizer) -> list[str]:
    return [text[start:end] for text in texts for start, end in tokenizer.windows(text)]
