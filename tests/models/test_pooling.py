"""models/pooling.py: windows of a long text become one answer."""

import numpy as np
import pytest

from models.pooling import pool
from pipeline.schema import LabelSchema

COUNTS = np.array([2, 1])  # the first text has two windows
LENGTHS = np.array([30.0, 10.0, 5.0])


def test_one_window_each_is_left_alone(tiny_schema: LabelSchema) -> None:
    rows = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    np.testing.assert_array_equal(pool(tiny_schema.task("mood"), rows, np.array([1, 1]), np.array([4.0, 9.0])), rows)


def test_single_is_the_mean_by_length(tiny_schema: LabelSchema) -> None:
    rows = np.array([[0.8, 0.1, 0.1], [0.0, 0.1, 0.9], [0.3, 0.3, 0.4]])
    np.testing.assert_allclose(pool(tiny_schema.task("mood"), rows, COUNTS, LENGTHS), [[0.6, 0.1, 0.3], rows[2]])


def test_ordinal_takes_the_most_severe_window(tiny_schema: LabelSchema) -> None:
    rows = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [1.0, 0.0, 0.0]])
    found = pool(tiny_schema.task("level"), rows, COUNTS, LENGTHS)
    np.testing.assert_allclose(found, [[0.2, 0.1, 0.7], [1.0, 0.0, 0.0]], atol=1e-12)


def test_multi_takes_the_largest(tiny_schema: LabelSchema) -> None:
    rows = np.array([[0.9, 0.1], [0.2, 0.3], [0.5, 0.5]])
    np.testing.assert_allclose(pool(tiny_schema.task("tags"), rows, COUNTS, LENGTHS), [[0.9, 0.3], [0.5, 0.5]])


def test_an_aspect_takes_its_complaint_whichever_window_holds_it(tiny_schema: LabelSchema) -> None:
    praise, complaint, silent = [0.1, 0.0, 0.0, 0.9], [0.2, 0.7, 0.1, 0.0], [1.0, 0.0, 0.0, 0.0]
    rows = np.array([[praise, silent], [complaint, silent], [silent, praise]])
    found = pool(tiny_schema.task("parts"), rows, COUNTS, LENGTHS)
    np.testing.assert_allclose(found, [[complaint, silent], [silent, praise]])


@pytest.mark.parametrize("width", [1, 4])
def test_embeddings_are_the_mean_by_length(width: int) -> None:
    rows = np.array([[1.0] * width, [5.0] * width, [7.0] * width])
    np.testing.assert_allclose(pool(None, rows, COUNTS, LENGTHS), [[2.0] * width, [7.0] * width])
