"""The graph without its weights: it answers as before, and nothing is stored twice."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import save
from transformers import BertConfig

from models.network import new_classifier
from models.onnx_export import export, torch_forward
from models.onnx_model import NetworkModel, onnx_network
from models.parity import check_parity
from models.shared_weights import refer_to_weights
from models.tokenization import FeedbackTokenizer, build_tokenizer
from pipeline.errors import BundleError
from pipeline.schema import LabelSchema

TEXTS = [f"第{i}天了快递还没到{'，客服不回' * (i % 5)}" for i in range(1, 40)]


@pytest.fixture(scope="module")
def tokenizer() -> FeedbackTokenizer:
    return build_tokenizer(TEXTS, max_tokens=64)


@pytest.fixture(scope="module")
def trained(tokenizer: FeedbackTokenizer, schema: LabelSchema) -> tuple[NetworkModel, bytes, bytes]:
    """The torch network with rounded weights, its whole graph, its weights."""
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=tokenizer.backend.get_vocab_size(),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    classifier = new_classifier(config, schema).half().float().train(False)
    weights = save({name: value.half().contiguous() for name, value in classifier.state_dict().items()})
    reference = NetworkModel(tokenizer=tokenizer, forward=torch_forward(classifier), schema=schema)
    return reference, export(classifier), weights


def test_the_smaller_graph_answers_as_the_trained_network(
    trained: tuple[NetworkModel, bytes, bytes], tokenizer: FeedbackTokenizer, schema: LabelSchema
) -> None:
    reference, graph, weights = trained
    small = onnx_network(refer_to_weights(graph, weights), weights, tokenizer=tokenizer, schema=schema, threads=1)
    assert check_parity(schema, reference=reference, candidate=small, texts=TEXTS) < 1e-5


def test_no_large_weight_stays_in_the_graph(trained: tuple[NetworkModel, bytes, bytes]) -> None:
    _, graph, weights = trained
    model = onnx.load_from_string(refer_to_weights(graph, weights))
    inside = [t for t in model.graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL]
    large = [t.name for t in inside if t.data_type == onnx.TensorProto.FLOAT and np.prod(t.dims) >= 1024]
    assert large == []
    referred = {entry.value for t in model.graph.initializer for entry in t.external_data if entry.key == "location"}
    assert referred == {"model.safetensors"}


def test_a_constant_that_is_stored_otherwise_is_left_alone(trained: tuple[NetworkModel, bytes, bytes]) -> None:
    _, graph, _ = trained
    model = onnx.load_from_string(refer_to_weights(graph, save({"other": torch.ones(32, 32, dtype=torch.float16)})))
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(graph).graph.initializer}
    after = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_reference_beyond_the_file_is_refused(
    trained: tuple[NetworkModel, bytes, bytes], tokenizer: FeedbackTokenizer, schema: LabelSchema
) -> None:
    _, graph, weights = trained
    small = refer_to_weights(graph, weights)
    with pytest.raises(BundleError, match=r"^the graph cannot be loaded: "):
        onnx_network(small, weights[: len(weights) // 2], tokenizer=tokenizer, schema=schema)
