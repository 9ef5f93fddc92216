"""training/crossfit.py: every row is answered by a model that did not see it."""

import numpy as np
import pytest

from pipeline.feedback import Example
from pipeline.prepare import prepare
from pipeline.schema import LabelSchema
from training.baseline import LinearSettings, fit_linear
from training.crossfit import fold_numbers, out_of_fold_logits
from training.rows import Rows

SETTINGS = LinearSettings(ngrams=(1, 2), min_count=1)


def rows_of(examples: list[Example]) -> Rows:
    return Rows(tuple(examples), tuple(prepare(example.text).text for example in examples))


def test_folds_are_even_reproducible_and_keep_copies_together() -> None:
    texts = (*tuple(f"第{i}条" for i in range(50)), "第7条！")
    fold = fold_numbers(texts, folds=5, seed=3)
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 2
    assert fold[7] == fold[50]
    assert (fold == fold_numbers(texts, folds=5, seed=3)).all()
    assert (fold != fold_numbers(texts, folds=5, seed=4)).any()


def test_logits_are_those_of_the_fit_on_the_other_folds(schema: LabelSchema, examples: list[Example]) -> None:
    rows = rows_of(examples)
    steps = []
    found = out_of_fold_logits(rows, schema=schema, settings=SETTINGS, folds=3, seed=0, step=lambda: steps.append(1))
    assert len(steps) == 3
    fold = fold_numbers(rows.texts, folds=3, seed=0)
    inside, outside = np.flatnonzero(fold == 1), np.flatnonzero(fold != 1)
    model = fit_linear(rows.pick(outside.tolist()).examples, schema=schema, settings=SETTINGS).model
    expected = model.logits(rows.pick(inside.tolist()).texts).logits
    for task in schema.tasks:
        np.testing.assert_allclose(found[task.name][inside], expected[task.name], rtol=1e-5, atol=1e-5)


def test_seen_rows_look_surer_than_unseen_ones(schema: LabelSchema, examples: list[Example]) -> None:
    rows = rows_of(examples)
    unseen = out_of_fold_logits(rows, schema=schema, settings=SETTINGS, folds=4, seed=0, step=lambda: None)
    seen = fit_linear(rows.examples, schema=schema, settings=SETTINGS).model.logits(rows.texts).logits
    gold = [schema.task("sentiment").index(str(example.labels["sentiment"])) for example in examples]
    picked = np.arange(len(gold)), gold
    assert seen["sentiment"][picked].mean() > unseen["sentiment"][picked].mean() + 0.5


@pytest.mark.parametrize("folds", [30])
def test_fewer_rows_than_folds(schema: LabelSchema, examples: list[Example], folds: int) -> None:
    found = out_of_fold_logits(
        rows_of(examples[:4]), schema=schema, settings=SETTINGS, folds=folds, seed=0, step=lambda: None
    )
    assert found["sentiment"].shape == (4, 3)
