"""models/heads.py: logits to probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.heads import exceedance, head_width, levels, probabilities, probability_width
from pipeline.schema import LabelSchema


@pytest.mark.parametrize(
    ("task", "logits", "probs"),
    [("mood", (3,), (3,)), ("level", (2,), (3,)), ("tags", (2,), (2,)), ("parts", (2, 4), (2, 4))],
)
def test_widths_of_every_kind(
    tiny_schema: LabelSchema, task: str, logits: tuple[int, ...], probs: tuple[int, ...]
) -> None:
    assert head_width(tiny_schema.task(task)) == logits
    assert probability_width(tiny_schema.task(task)) == probs
    assert probabilities(tiny_schema.task(task), np.zeros((5, *logits))).shape == (5, *probs)


def test_single_is_a_softmax(tiny_schema: LabelSchema) -> None:
    found = probabilities(tiny_schema.task("mood"), [[0.0, np.log(2.0), np.log(5.0)]])
    np.testing.assert_allclose(found, [[1 / 8, 2 / 8, 5 / 8]])


def test_ordinal_multiplies_the_conditional_probabilities(tiny_schema: LabelSchema) -> None:
    # P(y > low) = 0.8, P(y > mid given y > low) = 0.25
    found = probabilities(tiny_schema.task("level"), [[np.log(4.0), -np.log(3.0)]])
    np.testing.assert_allclose(found, [[0.2, 0.6, 0.2]])


def test_multi_labels_are_independent(tiny_schema: LabelSchema) -> None:
    np.testing.assert_allclose(probabilities(tiny_schema.task("tags"), [[0.0, np.log(3.0)]]), [[0.5, 0.75]])


def test_aspect_states_sum_to_one_for_each_category(tiny_schema: LabelSchema) -> None:
    found = probabilities(tiny_schema.task("parts"), np.arange(16.0).reshape(2, 2, 4))
    np.testing.assert_allclose(found.sum(axis=-1), np.ones((2, 2)))


def test_a_temperature_of_two_halves_the_logits(tiny_schema: LabelSchema) -> None:
    task = tiny_schema.task("mood")
    logits = np.array([[1.0, -2.0, 4.0]])
    np.testing.assert_allclose(probabilities(task, logits, 2.0), probabilities(task, logits / 2))


@pytest.mark.parametrize("task", ["mood", "level", "tags", "parts"])
def test_huge_logits_stay_finite(tiny_schema: LabelSchema, task: str) -> None:
    shape = head_width(tiny_schema.task(task))
    signs = np.where(np.arange(np.prod(shape)) % 2, -1e6, 1e6).reshape(1, *shape)
    found = probabilities(tiny_schema.task(task), signs)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=2))
def test_ordinal_probabilities_are_a_distribution_and_exceedance_inverts_levels(
    tiny_schema: LabelSchema, logits: list[float]
) -> None:
    found = probabilities(tiny_schema.task("level"), [logits])
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(levels(exceedance(found)), found, atol=1e-12)
