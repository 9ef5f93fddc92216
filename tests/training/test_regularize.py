"""Each regularizer against what its paper says."""

import pytest
import torch
from transformers import BertConfig

from models.network import FeedbackClassifier, new_classifier, token_embeddings
from pipeline.schema import LabelSchema, schema_from_dict
from training.regularize import Average, disagreement, moved_embeddings, parameter_groups

SCHEMA = schema_from_dict(
    {
        "tasks": {
            "mood": {"kind": "single", "labels": ["bad", "good"]},
            "level": {"kind": "ordinal", "labels": ["low", "mid", "top"]},
        }
    }
)


@pytest.fixture
def classifier() -> FeedbackClassifier:
    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    return new_classifier(config, SCHEMA)


def test_lower_layers_learn_more_slowly(classifier: FeedbackClassifier) -> None:
    groups = parameter_groups(classifier, rate=1.0, weight_decay=0.1, layer_decay=0.5)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}  # type: ignore[attr-defined]
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}  # type: ignore[attr-defined]
    by_name = dict(classifier.named_parameters())
    assert {rate[id(p)] for name, p in by_name.items() if name.startswith("heads.")} == {1.0}
    assert {rate[id(p)] for name, p in by_name.items() if "layer.1." in name} == {0.5}
    assert {rate[id(p)] for name, p in by_name.items() if "layer.0." in name} == {0.25}
    assert {rate[id(p)] for name, p in by_name.items() if "embeddings" in name} == {0.125}
    assert {decay[id(p)] for name, p in by_name.items() if name.endswith("bias")} == {0.0}
    assert len(rate) == len(by_name)


def test_passes_that_agree_cost_nothing_and_others_do(schema: LabelSchema) -> None:
    del schema
    one = {"mood": torch.tensor([[2.0, 0.0]]), "level": torch.tensor([[1.0, -1.0]])}
    other = {"mood": torch.tensor([[0.0, 2.0]]), "level": torch.tensor([[1.0, -1.0]])}
    assert disagreement(SCHEMA, one, one).item() == 0.0
    p = 1 / (1 + torch.exp(torch.tensor(-2.0))).item()  # of the likelier label
    divergence = (2 * p - 1) * 2.0  # sum of (p - q) (log p - log q) over both labels, halved
    assert disagreement(SCHEMA, one, other).item() == pytest.approx(divergence / 2, abs=1e-6)
    assert disagreement(SCHEMA, one, other).item() == pytest.approx(disagreement(SCHEMA, other, one).item())


def test_embeddings_move_along_their_gradient_and_come_back(classifier: FeedbackClassifier) -> None:
    ids = torch.tensor([[3, 4, 5]])
    weight = token_embeddings(classifier.encoder).weight
    with moved_embeddings(classifier, 0.5):  # no gradient yet: nothing moves
        assert weight.grad is None
    classifier(ids, torch.ones_like(ids))["mood"].sum().backward()
    before = weight.detach().clone()
    with moved_embeddings(classifier, 0.5):
        moved = weight.detach() - before
        assert moved.norm().item() == pytest.approx(0.5, rel=1e-4)
        assert weight.grad is not None
        assert torch.allclose(moved / moved.norm(), weight.grad / weight.grad.norm(), atol=1e-4)
    assert torch.allclose(weight.detach(), before, atol=1e-6)


def test_the_average_forgets_the_start_and_stands_in(classifier: FeedbackClassifier) -> None:
    average = Average(classifier, 0.999)
    head = classifier.heads[0].weight
    start = head.detach().clone()
    for step in range(1, 41):
        with torch.no_grad():
            head.fill_(1.0)
        average.update(classifier, step=step)
    # Of the start the product of step / (step + 9) is left: 40! 9! / 49!.
    assert (average.weights["heads.0.weight"] - 1).abs().max() < 1e-6 * (start - 1).abs().max() + 1e-6
    with torch.no_grad():
        head.fill_(2.0)
    with average.in_place(classifier):
        assert head.detach().mean().item() == pytest.approx(1.0, abs=1e-5)
    assert head.detach().mean().item() == 2.0
