"""The network as it answers: token-budget batches through onnxruntime, without torch or transformers."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Since 1.29 onnxruntime reports to its maker unless told not to, and leaves a device id in the home directory.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

from models.batching import TOKEN_BUDGET, Ids, pad, token_batches
from models.bundle import ENGINE, ModelBundle
from models.heads import head_width
from models.precision import PRECISION_VARIABLE, Precision
from models.predictor import Outputs
from models.tokenization import FeedbackTokenizer, read_tokenizer
from pipeline.errors import BundleError, ConfigError
from pipeline.schema import LabelSchema

EMBEDDING = "embedding"
WEIGHTS = "model.safetensors"
GRAPH = "model.onnx"  # as torch exported it, in float32

Forward = Callable[[Ids, Ids], Mapping[str, NDArray[np.float32]]]
"""Token ids and attention mask, both (n, length) -> output name -> array of n rows."""


class NetworkModel:
    """A tokenizer and a forward pass, as a LogitModel: on onnxruntime from a bundle, on torch while training."""

    def __init__(
        self, *, tokenizer: FeedbackTokenizer, forward: Forward, schema: LabelSchema, budget: int = TOKEN_BUDGET
    ) -> None:
        self.tokenizer = tokenizer
        self.schema = schema
        self._forward = forward
        self._budget = budget

    def logits(self, texts: Sequence[str]) -> Outputs:
        """Logits of all tasks and embeddings, rows in the order of the texts."""
        return self.run(self.tokenizer.encode(texts))

    def run(self, rows: Sequence[Sequence[int] | NDArray[np.integer]]) -> Outputs:
        """As `logits`, for rows of token ids."""
        found: dict[str, NDArray[np.float32]] = {}
        for batch in token_batches([len(row) for row in rows], budget=self._budget):
            answers = self._forward(*pad([rows[i] for i in batch], self.tokenizer.pad_id))
            for name, values in answers.items():
                if name not in found:
                    found[name] = np.empty((len(rows), *values.shape[1:]), dtype=np.float32)
                found[name][batch] = values
        if not rows:
            return Outputs({task.name: np.zeros((0, *head_width(task))) for task in self.schema.tasks}, None)
        known = self.tokenizer.known_fractions(rows)
        return Outputs({task.name: found[task.name] for task in self.schema.tasks}, found[EMBEDDING], known)

    def windows(self, text: str) -> list[tuple[int, int]]:
        return self.tokenizer.windows(text)

    def known_fraction(self, text: str) -> float:
        return self.tokenizer.known_fraction(text)


def read_network(
    bundle: ModelBundle, threads: int | None = None, *, precision: Precision | None = None
) -> NetworkModel:
    """The network of an opened bundle on `threads` cores (None: all), by default in 8 bits where the bundle can.

    Raises BundleError `encoder_invalid`, `tokenizer_invalid`, `graph_invalid`, or `precision_missing` where the bundle
    has no graph of the `precision` that was asked for.
    """
    return onnx_network(
        bundle.read(_graph_file(bundle, precision)),
        bundle.read(WEIGHTS),
        tokenizer=read_tokenizer_of(bundle),
        schema=bundle.schema,
        threads=threads,
    )


def _graph_file(bundle: ModelBundle, precision: Precision | None) -> str:
    wanted = precision or os.environ.get(PRECISION_VARIABLE) or None
    if wanted not in (None, "int8", "fp32"):
        raise ConfigError(
            "precision_unknown", f"{PRECISION_VARIABLE}: expected int8 or fp32; found {str(wanted)[:40]!r}"
        )
    if wanted == "fp32" or (wanted is None and not bundle.has(ENGINE)):
        return GRAPH
    if not bundle.has(ENGINE):
        raise BundleError(
            "precision_missing",
            f"{bundle.path} has no {ENGINE}; score in fp32, or make one with "
            f"`fankui quantize {bundle.path} TEXTS`, which encoders of BERT's kind can have",
        )
    return ENGINE


def read_tokenizer_of(bundle: ModelBundle) -> FeedbackTokenizer:
    """The tokenizer of an opened bundle. Raises BundleError `encoder_invalid` or `tokenizer_invalid`."""
    settings = _settings(bundle.json("encoder.json"))
    return read_tokenizer(bundle.read("tokenizer.json").decode("utf-8"), **settings)


def onnx_network(
    graph: bytes, weights: bytes, *, tokenizer: FeedbackTokenizer, schema: LabelSchema, threads: int | None = None
) -> NetworkModel:
    """A network out of the bytes of model.onnx and of model.safetensors, to which the graph may refer.

    Raises BundleError `graph_invalid` where its outputs are not those of the schema.
    """
    session = open_session(graph, {WEIGHTS: weights}, threads=threads)
    names = [output.name for output in session.get_outputs()]
    expected = [*(task.name for task in schema.tasks), EMBEDDING]
    if names != expected:
        raise BundleError("graph_invalid", f"model.onnx: expected the outputs {expected}; found {names}")

    def forward(ids: Ids, mask: Ids) -> Mapping[str, NDArray[np.float32]]:
        return dict(zip(names, session.run(None, {"input_ids": ids, "attention_mask": mask}), strict=True))

    return NetworkModel(tokenizer=tokenizer, forward=forward, schema=schema)


def tokenizer_settings(tokenizer: FeedbackTokenizer) -> dict[str, int | None]:
    """What encoder.json holds beside the encoder's configuration, so that tokenizer.json can be used."""
    return {"max_tokens": tokenizer.max_tokens, "pad_id": tokenizer.pad_id, "unknown_id": tokenizer.unknown_id}


def _settings(found: Any) -> dict[str, Any]:
    wanted = ("max_tokens", "pad_id", "unknown_id")
    body = found.get("tokenizer") if isinstance(found, Mapping) else None
    if not isinstance(body, Mapping) or set(body) != set(wanted):
        raise BundleError("encoder_invalid", f"encoder.json: expected an object 'tokenizer' with {', '.join(wanted)}")
    unknown = body["unknown_id"]
    numbers = [body["max_tokens"], body["pad_id"], *([] if unknown is None else [unknown])]
    if not all(type(number) is int and number >= 0 for number in numbers) or body["max_tokens"] < 8:
        raise BundleError("encoder_invalid", f"encoder.json: 'tokenizer' holds whole numbers; found {json.dumps(body)}")
    return dict(body)


def open_session(graph: bytes, files: Mapping[str, bytes], *, threads: int | None = None) -> ort.InferenceSession:
    """A session of a graph that may refer to `files` by name. Raises BundleError `graph_invalid`."""
    options = ort.SessionOptions()
    # From memory, where they were checked against the manifest: the graph's references never reach the disk.
    options.add_external_initializers_from_files_in_memory(
        list(files), list(files.values()), [len(content) for content in files.values()]
    )
    options.log_severity_level = 3  # errors only: a warning about a graph helps nobody who scores
    if threads is not None:
        options.intra_op_num_threads = threads
    # Memory for every length met would be kept for good; the arena grows in steps of what was asked instead.
    options.enable_mem_pattern = False
    try:
        # Add and LayerNormalization apart are 1.4 times as fast on a CPU as the two in one.
        return ort.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
        )
    except Exception as error:  # onnxruntime's own errors share no base but Exception
        raise BundleError("graph_invalid", f"the graph cannot be loaded: {error}") from error
