"""The hand-written graph against torch's own export, and its form in 8 bits."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from safetensors.torch import save
from transformers import BertConfig

from models.batching import pad
from models.fused_graph import Floats, dense_layers, fused_graph, unfusable, watch
from models.network import FeedbackClassifier, new_classifier
from models.onnx_export import torch_forward
from models.onnx_model import NetworkModel, onnx_network, open_session
from models.parity import check_parity
from models.quantize import int8_graph
from models.tokenization import FeedbackTokenizer, build_tokenizer
from pipeline.schema import schema_from_dict

NO_WEIGHTS = save({})

# Names that a careless graph would give to values of its own.
SCHEMA = schema_from_dict(
    {
        "tasks": {
            "add": {"kind": "single", "labels": ["b", "a", "c"]},
            "zero": {"kind": "multi", "labels": ["x", "y"]},
            "flat": {"kind": "ordinal", "labels": ["low", "mid", "high", "top"]},
            "cut": {"kind": "aspect", "labels": ["p", "q"]},
        }
    }
)
TEXTS = [f"快递第{i}天{'没到' * (i % 9)}，客服{'不回' * (i % 4)}" for i in range(1, 60)]


@pytest.fixture(scope="module")
def tokenizer() -> FeedbackTokenizer:
    return build_tokenizer(TEXTS, max_tokens=64)


def build(tokenizer: FeedbackTokenizer, *, pooling: str = "mean", act: str = "gelu") -> FeedbackClassifier:
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=tokenizer.backend.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_act=act,
    )
    return new_classifier(config, SCHEMA, pooling=pooling).train(False)


def parts(classifier: FeedbackClassifier) -> tuple[dict[str, Floats], dict[str, object]]:
    weights = {name: value.detach().numpy().astype(np.float32) for name, value in classifier.state_dict().items()}
    return weights, classifier.config.to_diff_dict()


def network(graph: bytes, tokenizer: FeedbackTokenizer) -> NetworkModel:
    return onnx_network(graph, NO_WEIGHTS, tokenizer=tokenizer, schema=SCHEMA, threads=1)


def torch_network(classifier: FeedbackClassifier, tokenizer: FeedbackTokenizer) -> NetworkModel:
    return NetworkModel(tokenizer=tokenizer, forward=torch_forward(classifier), schema=SCHEMA)


def eight_bits(classifier: FeedbackClassifier, tokenizer: FeedbackTokenizer) -> NetworkModel:
    weights, config = parts(classifier)
    rows = tokenizer.encode(TEXTS)
    return network(int8_graph(weights, config, SCHEMA, rows=rows, pad_id=tokenizer.pad_id), tokenizer)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("act", ["gelu", "relu"])
def test_in_float32_it_is_the_network(tokenizer: FeedbackTokenizer, pooling: str, act: str) -> None:
    classifier = build(tokenizer, pooling=pooling, act=act)
    weights, config = parts(classifier)
    fused = network(fused_graph(weights, config, SCHEMA), tokenizer)
    assert check_parity(SCHEMA, reference=torch_network(classifier, tokenizer), candidate=fused, texts=TEXTS) < 1e-5


def test_in_eight_bits_it_is_nearly_the_network(tokenizer: FeedbackTokenizer) -> None:
    classifier = build(tokenizer)
    reference = torch_network(classifier, tokenizer).logits(TEXTS)
    found = eight_bits(classifier, tokenizer).logits(TEXTS)
    assert found.embeddings is not None
    for task in SCHEMA.tasks:
        spread = reference.logits[task.name].std()
        assert np.abs(found.logits[task.name] - reference.logits[task.name]).mean() < 0.05 * spread
    assert [found.logits[task.name].shape for task in SCHEMA.tasks] == [(59, 3), (59, 2), (59, 3), (59, 2, 4)]


def test_in_eight_bits_neighbours_do_not_matter(tokenizer: FeedbackTokenizer) -> None:
    eight = eight_bits(build(tokenizer), tokenizer)
    together = eight.logits(TEXTS).logits["cut"]
    alone = np.concatenate([eight.logits([text]).logits["cut"] for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_careful_rounding_beats_rounding_to_the_nearest(tokenizer: FeedbackTokenizer) -> None:
    from models.quantize import _rounded

    classifier = build(tokenizer)
    weights, config = parts(classifier)
    session = open_session(fused_graph(weights, config, SCHEMA, watched=True), {})
    ids, mask = pad(tokenizer.encode(TEXTS), tokenizer.pad_id)
    for name, dense in dense_layers(weights, 2).items():
        (values,) = session.run([watch(name)], {"input_ids": ids, "attention_mask": mask})
        inputs = values[mask.astype(bool)]
        rounded = _rounded(dense, inputs.T @ inputs / len(inputs), scale=1.0, zero=0)
        nearest = np.round(dense.weight / rounded.weight_scale[:, None])
        wrong = [
            float(np.square(inputs @ (held * rounded.weight_scale[:, None] - dense.weight).T).mean())
            for held in (rounded.weight, nearest)
        ]
        assert wrong[0] < wrong[1], name


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"encoder": {"model_type": "distilbert"}}, "its architecture is 'distilbert', not 'bert'"),
        ({"encoder": {"model_type": "bert", "hidden_act": "silu"}}, "its activation is 'silu'"),
        (
            {"encoder": {"model_type": "bert", "position_embedding_type": "relative_key"}},
            "its positions are 'relative_key'",
        ),
        ({"encoder": {"model_type": "bert"}}, None),
    ],
)
def test_what_has_no_such_graph(config: Mapping[str, object], reason: str | None) -> None:
    assert unfusable(config) == reason
