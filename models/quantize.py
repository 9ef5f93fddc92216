"""Eight bits for the linear layers of a fused graph: static scales of their inputs, weights rounded with care.

Static scales, calibrated on samples: with scales made up batch by batch ("dynamic"), a text's answer would depend on
its neighbours (logits moved by up to 0.10). Inputs are clipped at their 0.01 and 99.99 per cent points, which changed
a third fewer labels than their extremes and half as many as 0.1 and 99.9. Weights are rounded by GPTQ: what rounding
one input's weight gets wrong is made good by the weights of the inputs that follow (a quarter fewer changed aspects
than rounding to the nearest). Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ: Accurate Post-Training Quantization for
Generative Pre-trained Transformers", 2023 (arXiv:2210.17323).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.batching import pad, token_batches
from models.fused_graph import Dense, Dense8, Floats, dense_layers, fused_graph, watch
from models.onnx_model import open_session
from pipeline.schema import LabelSchema

TEXTS = 1000  # samples that scales and rounding are fitted on; 300 changed a tenth more labels
_CLIPPED = 1e-4  # share of a layer's inputs cut off at either end
_DAMPING = 0.01  # of the mean of the diagonal: keeps the inverse finite where inputs are always the same
_BLOCK = 128  # inputs whose corrections are gathered before the rest is corrected at once

_Inputs = Callable[[Sequence[str]], Iterator[list[Floats]]]
"""Names of layers -> batch by batch what goes into each, (tokens, inputs)."""


def int8_graph(
    weights: Mapping[str, Floats],
    config: Mapping[str, Any],
    schema: LabelSchema,
    *,
    rows: Sequence[Sequence[int]],
    pad_id: int,
    advance: Callable[[float], None] | None = None,
) -> bytes:
    """The fused graph in 8 bits, calibrated on `rows` of token ids (at most TEXTS of them are used).

    `advance` is called with the share that is done.
    """
    layers = dense_layers(weights, int(config["encoder"]["num_hidden_layers"]))
    session = open_session(fused_graph(weights, config, schema, watched=True), {})
    sample = list(rows[:TEXTS])

    def inputs(names: Sequence[str]) -> Iterator[list[Floats]]:
        for batch in token_batches([len(row) for row in sample]):
            ids, mask = pad([sample[i] for i in batch], pad_id)
            outputs = session.run([watch(name) for name in names], {"input_ids": ids, "attention_mask": mask})
            yield [values[mask.astype(bool)] for values in outputs]

    names = list(layers)
    scales = {name: _scale(*limits) for name, limits in _ranges(names, inputs, sum(map(len, sample))).items()}
    moments = _second_moments(names, inputs, scales)
    quantized = {}
    for done, (name, dense) in enumerate(layers.items(), 1):
        scale, zero = scales[name]
        quantized[name] = _rounded(dense, moments.pop(name), scale=scale, zero=zero)
        if advance is not None:
            advance(done / len(layers))
    return fused_graph(weights, config, schema, quantized=quantized)


def _ranges(names: Sequence[str], inputs: _Inputs, tokens: int) -> dict[str, tuple[float, float]]:
    """Lower and upper clipping point of every layer's inputs, from the few largest and smallest values met."""
    lowest: dict[str, Floats] = {}
    highest: dict[str, Floats] = {}
    for found in inputs(names):
        for name, values in zip(names, found, strict=True):
            kept = int(_CLIPPED * tokens * values.shape[1]) + 1
            flat = np.concatenate([values.ravel(), lowest.get(name, np.empty(0, np.float32))])
            lowest[name] = np.partition(flat, min(kept, len(flat)) - 1)[:kept]
            flat = np.concatenate([values.ravel(), highest.get(name, np.empty(0, np.float32))])
            highest[name] = -np.partition(-flat, min(kept, len(flat)) - 1)[:kept]
    return {name: (float(lowest[name].max()), float(highest[name].min())) for name in names}


def _scale(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point under which `low` to `high`, widened to hold 0, is 0 to 255."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / 255
    return scale, int(np.clip(round(-low / scale), 0, 255))


def _second_moments(
    names: Sequence[str], inputs: _Inputs, scales: Mapping[str, tuple[float, int]]
) -> dict[str, Floats]:
    """Mean outer product of every layer's inputs as 8 bits hold them, (inputs, inputs)."""
    sums: dict[str, Floats] = {}
    tokens = 0
    for found in inputs(names):
        tokens += len(found[0])
        for name, values in zip(names, found, strict=True):
            scale, zero = scales[name]
            held = (np.clip(np.round(values / np.float32(scale)) + zero, 0, 255) - zero) * np.float32(scale)
            product = held.T @ held
            sums[name] = sums[name] + product if name in sums else product
    return {name: total / np.float32(max(tokens, 1)) for name, total in sums.items()}


def _rounded(dense: Dense, second: Floats, *, scale: float, zero: int) -> Dense8:
    """The layer's weights in 8 bits. `second`: (inputs, inputs), the inputs' second moments."""
    size = len(second)
    damped = second.astype(np.float64) + np.eye(size) * max(_DAMPING * float(np.diag(second).mean()), 1e-8)
    spread = np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
    weight = dense.weight.astype(np.float32, copy=True)
    steps = np.maximum(np.abs(weight).max(axis=1) / 127, 1e-12).astype(np.float32)
    rounded = np.zeros(weight.shape, dtype=np.int8)
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        errors = np.zeros((len(weight), end - start), dtype=np.float32)
        for i in range(start, end):
            rounded[:, i] = np.clip(np.round(weight[:, i] / steps), -127, 127)
            errors[:, i - start] = (weight[:, i] - rounded[:, i] * steps) / spread[i, i]
            weight[:, i:end] -= np.outer(errors[:, i - start], spread[i, i:end])
        weight[:, end:] -= errors @ spread[start:end, end:]
    return Dense8(scale, zero, rounded, steps)
