"""The graph that scores: a BERT-type classifier written node by node, with fused attention and, if asked, 8-bit layers.

Same inputs and outputs as the exported model.onnx, of which it is a faster twin. Written from the bundle's own files,
so that it needs no torch. On one core of an AMD EPYC with VNNI, real comments of 36 tokens in batches of 1,024 tokens:
torch's export 369 a second, this graph in 8 bits 1,030. What made the difference, measured on the way: QAttention (one
8-bit product for query, key and value, heads laid out by it: +5 %), Add + LayerNormalization instead of the fused
SkipLayerNormalization (+37 %; models/onnx_model.py keeps onnxruntime from fusing them again).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from models.heads import head_width
from models.onnx_model import EMBEDDING
from pipeline.schema import LabelSchema

OPSET = 20
_MS = "com.microsoft"
_ACTIVATIONS = {
    "gelu": ("Gelu", _MS),
    "gelu_new": ("FastGelu", _MS),
    "gelu_pytorch_tanh": ("FastGelu", _MS),
    "relu": ("Relu", ""),
}

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Dense8:
    """One linear layer in 8 bits. `scale`, `zero`: of its input, real = (stored - zero) * scale, stored in 0 to 255."""

    scale: float
    zero: int
    weight: NDArray[np.int8]  # (outputs, inputs)
    weight_scale: Floats  # (outputs,)


@dataclass(frozen=True, slots=True)
class Dense:
    """One linear layer: where it reads from and its weights."""

    name: str  # such as 0.query_key_value
    weight: Floats  # (outputs, inputs)
    bias: Floats  # (outputs,)


def watch(layer: str) -> str:
    """Name of the output that tells what goes into a layer."""
    return f"input:{layer}"


def unfusable(config: Mapping[str, Any]) -> str | None:
    """Why an encoder of this configuration (encoder.json's) has no such graph; None where it has."""
    encoder = config.get("encoder", {})
    if encoder.get("model_type") != "bert":
        return f"its architecture is {encoder.get('model_type')!r}, not 'bert'"
    if encoder.get("hidden_act", "gelu") not in _ACTIVATIONS:
        return f"its activation is {encoder.get('hidden_act')!r}"
    if encoder.get("position_embedding_type", "absolute") != "absolute":
        return f"its positions are {encoder['position_embedding_type']!r}"
    return None


def dense_layers(weights: Mapping[str, Floats], layers: int) -> dict[str, Dense]:
    """The linear layers of the encoder by name; query, key and value of one layer are one."""
    found = {}
    for i in range(layers):
        layer = f"encoder.encoder.layer.{i}"
        three = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        found[f"{i}.query_key_value"] = Dense(
            f"{i}.query_key_value",
            np.concatenate([weights[f"{part}.weight"] for part in three]),
            np.concatenate([weights[f"{part}.bias"] for part in three]),
        )
        for name, path in (
            ("context", "attention.output.dense"),
            ("up", "intermediate.dense"),
            ("down", "output.dense"),
        ):
            whole = f"{layer}.{path}"
            found[f"{i}.{name}"] = Dense(f"{i}.{name}", weights[f"{whole}.weight"], weights[f"{whole}.bias"])
    return found


def fused_graph(
    weights: Mapping[str, Floats],
    config: Mapping[str, Any],
    schema: LabelSchema,
    *,
    quantized: Mapping[str, Dense8] | None = None,
    watched: bool = False,
) -> bytes:
    """The classifier as an ONNX graph, weights inside.

    `weights`: model.safetensors in float32; `config`: encoder.json's. `quantized`: every layer of `dense_layers` in
    8 bits, none for float32. `watched`: the inputs of the linear layers, (batch, length, inputs), are outputs too,
    named by `watch`.
    """
    graph = _Graph(weights, config["encoder"], quantized)
    hidden = graph.encoder(watched=watched)
    outputs = graph.heads(hidden, schema, pooling=config.get("pooling", "mean"))
    return graph.model([*outputs, *graph.watched])


@dataclass
class _Graph:
    weights: Mapping[str, Floats]
    settings: Mapping[str, Any]
    quantized: Mapping[str, Dense8] | None
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    watched: list[ValueInfoProto] = field(default_factory=list)

    def encoder(self, *, watched: bool) -> str:
        """Name of the last layer's output, (batch, length, hidden)."""
        layers = int(self.settings["num_hidden_layers"])
        heads = int(self.settings["num_attention_heads"])
        activation, domain = _ACTIVATIONS[self.settings.get("hidden_act", "gelu")]
        dense = dense_layers(self.weights, layers)
        x = self._embeddings()
        mask = self._node("Cast", ["attention_mask"], to=TensorProto.INT32)
        for i in range(layers):
            context = self._attention(x, mask, dense[f"{i}.query_key_value"], heads=heads, watched=watched)
            layer = f"encoder.encoder.layer.{i}"
            attended = self._dense(context, dense[f"{i}.context"], watched=watched)
            x = self._norm(self._node("Add", [attended, x]), f"{layer}.attention.output.LayerNorm")
            up = self._node(activation, [self._dense(x, dense[f"{i}.up"], watched=watched)], domain=domain)
            down = self._dense(up, dense[f"{i}.down"], watched=watched)
            x = self._norm(self._node("Add", [down, x]), f"{layer}.output.LayerNorm")
        return x

    def heads(self, hidden: str, schema: LabelSchema, *, pooling: str) -> list[ValueInfoProto]:
        """Pool, then one product for all tasks, cut into their logits."""
        width = int(self.settings["hidden_size"])
        pooled = self._pool(hidden, pooling)
        numbers = range(len(schema.tasks))
        weight = self._own("heads.weight", np.concatenate([self.weights[f"heads.{i}.weight"] for i in numbers]))
        bias = self._own("heads.bias", np.concatenate([self.weights[f"heads.{i}.bias"] for i in numbers]))
        together = self._node("Gemm", [pooled, weight, bias], transB=1)
        sizes = np.array([np.prod(head_width(task)) for task in schema.tasks], dtype=np.int64)
        cut = [f"cut.{task.name}" for task in schema.tasks]
        self.nodes.append(helper.make_node("Split", [together, self._own("heads.sizes", sizes)], cut, axis=1))
        outputs = []
        for task, part in zip(schema.tasks, cut, strict=True):
            shape = np.array([-1, *head_width(task)], dtype=np.int64)
            self.nodes.append(helper.make_node("Reshape", [part, self._own(f"{part}.shape", shape)], [task.name]))
            outputs.append(helper.make_tensor_value_info(task.name, TensorProto.FLOAT, ["batch", *head_width(task)]))
        self.nodes.append(helper.make_node("Identity", [pooled], [EMBEDDING]))
        return [*outputs, helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["batch", width])]

    def model(self, outputs: Sequence[ValueInfoProto]) -> bytes:
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
            for name in ("input_ids", "attention_mask")
        ]
        graph = helper.make_graph(self.nodes, "fankui", inputs, list(outputs), list(self.constants.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_MS, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def _embeddings(self) -> str:
        table = "encoder.embeddings"
        words = self._node("Gather", [self._weight(f"{table}.word_embeddings.weight"), "input_ids"])
        length = self._node("Shape", ["input_ids"], start=1, end=2)
        first, axis = self._own("number.0", np.array([0])), self._own("axis.rows", np.array([0]))
        positions = self._node("Slice", [self._weight(f"{table}.position_embeddings.weight"), first, length, axis])
        kind = self._own("embeddings.segment", self.weights[f"{table}.token_type_embeddings.weight"][0])
        placed = self._node("Add", [words, self._node("Add", [positions, kind])])
        return self._norm(placed, f"{table}.LayerNorm")

    def _attention(self, x: str, mask: str, dense: Dense, *, heads: int, watched: bool) -> str:
        if self.quantized is None:
            joined = self._dense(x, dense, watched=watched)
            three = [f"{dense.name}.{part}" for part in ("query", "key", "value")]
            self.nodes.append(helper.make_node("Split", [joined], three, axis=-1, num_outputs=3))
            return self._node("MultiHeadAttention", [*three, "", mask], domain=_MS, num_heads=heads)
        eight = self.quantized[dense.name]
        stored, scale, zero, weight, weight_scale = self._eight_bits(x, dense, eight)
        bias = self._own(f"{dense.name}.bias", dense.bias)
        no_shift = self._own(f"{dense.name}.no_shift", np.zeros(len(dense.bias), dtype=np.int8))
        inputs = [stored, weight, bias, scale, weight_scale, mask, zero, no_shift]
        return self._node("QAttention", inputs, domain=_MS, num_heads=heads)

    def _dense(self, x: str, dense: Dense, *, watched: bool) -> str:
        if watched:
            name = watch(dense.name)
            self.nodes.append(helper.make_node("Identity", [x], [name]))
            self.watched.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "length", dense.weight.shape[1]])
            )
        bias = self._own(f"{dense.name}.bias", dense.bias)
        if self.quantized is None:
            product = self._node("MatMul", [x, self._own(f"{dense.name}.weight", dense.weight.T)])
            return self._node("Add", [product, bias])
        stored, scale, zero, weight, weight_scale = self._eight_bits(x, dense, self.quantized[dense.name])
        return self._node("MatMulIntegerToFloat", [stored, weight, scale, weight_scale, zero, "", bias], domain=_MS)

    def _eight_bits(self, x: str, dense: Dense, eight: Dense8) -> tuple[str, str, str, str, str]:
        scale = self._own(f"{dense.name}.scale", np.float32(eight.scale))
        zero = self._own(f"{dense.name}.zero", np.uint8(eight.zero))
        stored = self._node("QuantizeLinear", [x, scale, zero])
        weight = self._own(f"{dense.name}.weight", eight.weight.T)
        return stored, scale, zero, weight, self._own(f"{dense.name}.weight_scale", eight.weight_scale)

    def _norm(self, x: str, name: str) -> str:
        epsilon = float(self.settings.get("layer_norm_eps", 1e-12))
        inputs = [x, self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        return self._node("LayerNormalization", inputs, axis=-1, epsilon=epsilon)

    def _pool(self, hidden: str, pooling: str) -> str:
        if pooling == "cls":
            first = [self._own(name, np.array([value])) for name, value in (("number.0", 0), ("number.1", 1))]
            token = self._node("Slice", [hidden, *first, self._own("axis.tokens", np.array([1]))])
            return self._node("Squeeze", [token, self._own("axis.tokens", np.array([1]))])
        tokens = self._own("axis.tokens", np.array([1]))
        real = self._node("Unsqueeze", [self._node("Cast", ["attention_mask"], to=TensorProto.FLOAT), tokens])
        total = self._node("Squeeze", [self._node("MatMul", [real, hidden]), tokens])
        count = self._node("ReduceSum", [real, self._own("axis.length", np.array([2]))], keepdims=0)
        return self._node(
            "Div", [total, self._node("Max", [count, self._own("number.least", np.ones(1, dtype=np.float32))])]
        )

    def _node(self, kind: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        output = f"{kind}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], domain=domain, **attributes))
        return output

    def _weight(self, name: str) -> str:
        return self._own(name, self.weights[name])

    def _own(self, name: str, values: Any) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name
