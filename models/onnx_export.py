"""From the torch network to model.onnx."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.batching import Ids
from models.network import EMBEDDING, FeedbackClassifier
from models.onnx_model import Forward
from pipeline.errors import BundleError

OPSET = 20


def export(classifier: FeedbackClassifier) -> bytes:
    """The classifier as an ONNX graph of opset 20 with dynamic batch and length, weights inside.

    Inputs `input_ids`, `attention_mask` (batch, length) int64; outputs every task's logits under its name, then
    `embedding` (batch, hidden), all float32.
    """
    wrapped = _Positional(classifier).cpu()
    wrapped.train(False)
    ids = torch.zeros((2, 7), dtype=torch.int64)
    batch = torch.export.Dim("batch", min=1, max=65_536)
    # The exporter specialises on a least length of 1; the graph runs with 1 all the same (tested).
    length = torch.export.Dim("length", min=2, max=classifier.max_tokens)
    shape = {0: batch, 1: length}
    with _quiet():
        program = torch.onnx.export(
            wrapped,
            (ids, torch.ones_like(ids)),
            dynamo=True,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask"],
            dynamic_shapes=(shape, shape),
            verbose=False,
        )
    if program is None:
        raise BundleError("export_failed", "torch gave no ONNX graph for this encoder; choose another --encoder")
    # The exporter names inner values after their operators, so an output called `embedding` or `add` would exist
    # twice. Number the inner ones first.
    for number, value in enumerate(value for node in program.model.graph for value in node.outputs):
        value.name = f"v{number}"
    for output, name in zip(program.model.graph.outputs, wrapped.names, strict=True):
        output.name = name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        program.save(path, external_data=False)
        return path.read_bytes()


def torch_forward(classifier: FeedbackClassifier) -> Forward:
    """The torch network behind the same door as the onnxruntime one; on the classifier's device, in float32."""

    def forward(ids: Ids, mask: Ids) -> dict[str, np.ndarray]:
        was_training = classifier.training
        classifier.train(False)
        device = classifier.device
        with torch.inference_mode():
            outputs = classifier(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
        classifier.train(was_training)
        return {name: values.float().cpu().numpy() for name, values in outputs.items()}

    return forward


class _Positional(nn.Module):
    """The exporter wants a tuple in a known order."""

    def __init__(self, classifier: FeedbackClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.names = (*(task.name for task in classifier.schema.tasks), EMBEDDING)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        outputs = self.classifier(input_ids=input_ids, attention_mask=attention_mask)
        return tuple(outputs[name] for name in self.names)


@contextmanager
def _quiet() -> Iterator[None]:
    # The exporter warns of torchvision, which is not wanted here, and of its own deprecated calls.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
