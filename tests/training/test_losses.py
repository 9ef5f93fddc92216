"""Losses against sums done by hand, and that unlabelled rows count for nothing."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.schema import LabelSchema, schema_from_dict
from training.losses import class_weights, corn_loss, task_loss, total_loss, whole_batch

SCHEMA = schema_from_dict(
    {
        "tasks": {
            "mood": {"kind": "single", "labels": ["bad", "ok", "good"]},
            "level": {"kind": "ordinal", "labels": ["low", "mid", "top"]},
            "tags": {"kind": "multi", "labels": ["a", "b"]},
            "parts": {"kind": "aspect", "labels": ["p", "q"]},
        }
    }
)
ONES = {"mood": torch.ones(3), "level": torch.ones(3), "tags": torch.ones(2), "parts": torch.ones(4)}


def logits(rows: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = {"mood": (3,), "level": (2,), "tags": (2,), "parts": (2, 4)}
    return {name: torch.randn(rows, *shape, generator=generator).requires_grad_() for name, shape in shapes.items()}


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_corn_asks_each_step_only_of_rows_that_reached_it() -> None:
    outputs = torch.tensor([[0.5, 9.0], [1.0, -2.0], [2.0, 3.0]])
    levels = torch.tensor([0, 1, 2])
    # Level 0 answers "no" to step 0 and is not asked step 1; level 1: yes, no; level 2: yes, yes.
    asked = [softplus(0.5), softplus(-1.0), softplus(-2.0), softplus(-2.0), softplus(-3.0)]
    assert corn_loss(outputs, levels, torch.ones(3)).item() == pytest.approx(sum(asked) / 5, abs=1e-6)


def test_corn_weighs_rows_by_their_level() -> None:
    outputs, levels = torch.tensor([[0.5], [1.0]]), torch.tensor([0, 1])
    found = corn_loss(outputs, levels, torch.tensor([1.0, 3.0])).item()
    assert found == pytest.approx((softplus(0.5) + 3 * softplus(-1.0)) / 4, abs=1e-6)


def test_aspects_are_a_softmax_over_four_states_each() -> None:
    outputs = torch.randn(3, 2, 4)
    states = torch.tensor([[0, 3], [1, 0], [2, 2]])
    expected = functional.cross_entropy(outputs.reshape(6, 4), states.reshape(6))
    torch.testing.assert_close(task_loss(SCHEMA.task("parts"), outputs, states, torch.ones(4)), expected)


def test_unlabelled_rows_count_for_nothing() -> None:
    outputs = logits(4)
    full = {
        "mood": torch.tensor([0, -1, 2, -1]),
        "level": torch.tensor([-1, -1, 1, 2]),
        "tags": torch.tensor([[1, 0], [-1, -1], [0, 0], [-1, -1]]),
        "parts": torch.tensor([[0, 1], [-1, -1], [-1, -1], [3, 2]]),
    }
    loss = total_loss(SCHEMA, outputs, full, ONES)
    parts = [
        task_loss(task, outputs[task.name][rows], full[task.name][rows], ONES[task.name])
        for task, rows in zip(SCHEMA.tasks, ([0, 2], [2, 3], [0, 2], [0, 3]), strict=True)
    ]
    torch.testing.assert_close(loss, torch.stack(parts).mean())
    loss.backward()
    assert outputs["mood"].grad is not None
    assert outputs["mood"].grad[1].abs().sum() == 0
    assert outputs["mood"].grad[0].abs().sum() > 0


def test_a_task_without_labels_still_has_a_gradient_of_zero() -> None:
    outputs = logits(2)
    loss = total_loss(SCHEMA, outputs, {"mood": torch.tensor([0, 1])}, ONES)
    loss.backward()
    torch.testing.assert_close(loss, functional.cross_entropy(outputs["mood"], torch.tensor([0, 1])))
    for name in ("level", "tags", "parts"):
        grad = outputs[name].grad
        assert grad is not None, name
        assert grad.abs().sum() == 0


def test_a_batch_without_any_label_gives_zero() -> None:
    assert total_loss(SCHEMA, logits(2), {"mood": torch.tensor([-1, -1])}, ONES).item() == 0.0


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_parts_of_a_batch_add_up_to_its_loss(cut: int) -> None:
    outputs = logits(5)
    targets = {
        "mood": torch.tensor([0, -1, 2, -1, 1]),
        "level": torch.tensor([-1, -1, 1, 2, 0]),
        "tags": torch.tensor([[1, 0], [-1, -1], [0, 0], [-1, -1], [1, 1]]),
        "parts": torch.tensor([[0, 1], [-1, -1], [-1, -1], [3, 2], [-1, -1]]),
    }
    weights = {name: 0.5 + torch.arange(len(values)) for name, values in ONES.items()}
    whole = whole_batch(SCHEMA, targets, weights)
    sums = [
        total_loss(
            SCHEMA,
            {name: values[rows] for name, values in outputs.items()},
            {name: values[rows] for name, values in targets.items()},
            weights,
            whole,
        )
        for rows in (slice(None, cut), slice(cut, None))
    ]
    torch.testing.assert_close(sum(sums), total_loss(SCHEMA, outputs, targets, weights))


def test_balanced_weights_have_mean_one_over_the_rows() -> None:
    column = np.array([0] * 60 + [1] * 30 + [2] * 10 + [-1] * 50)
    weights = class_weights(SCHEMA, {"mood": column}, "balanced")["mood"].numpy()
    np.testing.assert_allclose(weights, [100 / 180, 100 / 90, 100 / 30], rtol=1e-6)


def test_effective_weights_lie_between_none_and_balanced() -> None:
    column = {"mood": np.array([0] * 3000 + [1] * 300 + [2] * 30)}
    balanced, effective = (class_weights(SCHEMA, column, way)["mood"] for way in ("balanced", "effective"))
    assert 1 < effective[2] / effective[0] < balanced[2] / balanced[0]


def test_a_rare_class_weighs_ten_times_at_most() -> None:
    column = {"mood": np.array([0] * 9999 + [2])}
    assert class_weights(SCHEMA, column, "balanced")["mood"].tolist() == pytest.approx([0.50005, 0.0, 10.0])


def test_weights_of_labels_and_aspects() -> None:
    gold = {"tags": np.array([[1, 0]] * 1 + [[0, 0]] * 4), "parts": np.array([[0, 1]] * 6 + [[0, 3]] * 2)}
    found = class_weights(SCHEMA, gold, "balanced")
    assert found["tags"].tolist() == pytest.approx([4.0, 5.0])
    assert found["parts"].tolist() == pytest.approx([2 / 3, 8 / 9, 0.0, 8 / 3])


def test_no_weights_are_ones(schema: LabelSchema) -> None:
    found = class_weights(schema, {}, "none")
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        "sentiment": (3,),
        "category": (12,),
        "aspects": (4,),
        "urgency": (4,),
    }
    assert all(bool((values == 1).all()) for values in found.values())
