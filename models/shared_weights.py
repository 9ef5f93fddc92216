"""Weights that are stored once: the graph refers to model.safetensors instead of holding a copy.

Every large float32 constant of the graph that is a tensor of model.safetensors, or the transpose of one, becomes a
reference to its half-precision bytes there and a Cast (and a Transpose), which onnxruntime folds when it loads.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from models.onnx_model import WEIGHTS

_LEAST = 1024  # elements; smaller constants stay in the graph


@dataclass(frozen=True, slots=True)
class _Stored:
    """One float16 tensor of the safetensors file."""

    offset: int  # of its bytes in the file
    values: NDArray[np.float16]


def refer_to_weights(graph: bytes, weights: bytes) -> bytes:
    """The graph with its large constants taken from `weights`, a safetensors file of float16 tensors.

    Constants that the file does not hold, to the bit once they are float32, stay as they are.
    """
    model = onnx.load_from_string(graph)
    stored = _stored(weights)
    kept, referred = [], []
    nodes: list[NodeProto] = []
    for constant in model.graph.initializer:
        found = _find(constant, stored)
        if found is None:
            kept.append(constant)
            continue
        name, transposed = found
        half = f"{constant.name}.half"
        referred.append(_reference(half, stored[name]))
        nodes += _restored(half, constant.name, transposed=transposed)
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, *referred])
    whole = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(whole)
    return bytes(model.SerializeToString())


def _stored(weights: bytes) -> dict[str, _Stored]:
    """The tensors of a safetensors file by name: eight bytes of length, a JSON header, the data."""
    (length,) = struct.unpack("<Q", weights[:8])
    header: Mapping[str, Mapping[str, object]] = json.loads(weights[8 : 8 + length])
    found = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F16":
            continue
        begin, end = (8 + length + int(place) for place in entry["data_offsets"])  # type: ignore[attr-defined]
        values = np.frombuffer(weights[begin:end], np.float16).reshape(entry["shape"])  # type: ignore[call-overload]
        found[name] = _Stored(begin, values)
    return found


def _find(constant: TensorProto, stored: Mapping[str, _Stored]) -> tuple[str, bool] | None:
    """Name of the stored tensor that the constant is, and whether it is its transpose."""
    if constant.data_type != TensorProto.FLOAT or np.prod(constant.dims) < _LEAST:
        return None
    values = numpy_helper.to_array(constant)
    for name, tensor in _likely(constant.name, stored):
        whole = tensor.values
        if whole.shape == values.shape and np.array_equal(whole, values):
            return name, False
        if whole.T.shape == values.shape and np.array_equal(whole.T, values):
            return name, True
    return None


def _likely(constant: str, stored: Mapping[str, _Stored]) -> Iterator[tuple[str, _Stored]]:
    """The tensor of the constant's own name first."""
    yield from sorted(stored.items(), key=lambda item: not constant.endswith(item[0]))


def _reference(name: str, tensor: _Stored) -> TensorProto:
    found = TensorProto(name=name, data_type=TensorProto.FLOAT16, dims=tensor.values.shape)
    found.data_location = TensorProto.EXTERNAL
    place = {"location": WEIGHTS, "offset": tensor.offset, "length": tensor.values.nbytes}
    for key, value in place.items():
        found.external_data.add(key=key, value=str(value))
    return found


def _restored(half: str, name: str, *, transposed: bool) -> list[NodeProto]:
    """Nodes that make the float32 constant again."""
    if not transposed:
        return [helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT)]
    whole = f"{half}.float"
    return [
        helper.make_node("Cast", [half], [whole], to=TensorProto.FLOAT),
        helper.make_node("Transpose", [whole], [name], perm=[1, 0]),
    ]
