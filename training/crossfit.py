"""Answers for every training row by a model that did not see it, so that all rows train and all rows calibrate."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from pipeline.duplicates import exact_groups
from pipeline.schema import LabelSchema
from training.baseline import LinearSettings, fit_linear
from training.rows import Rows

Logits = Mapping[str, npt.NDArray[np.floating]]


def out_of_fold_logits(
    rows: Rows, *, schema: LabelSchema, settings: LinearSettings, folds: int, seed: int, step: Callable[[], None]
) -> Logits:
    """Logits of the linear model by task, one row a text, each from a fit on the other folds.

    Copies of a text share a fold. `step` is called after every fold. Calibration as in Platt (1999), section 2.3:
    a model's own training rows would make it look far too sure.
    """
    fold = fold_numbers(rows.texts, folds=folds, seed=seed)
    found: dict[str, npt.NDArray[np.floating]] = {}
    for number in range(folds):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if not len(inside):  # fewer texts than folds
            step()
            continue
        fitted = fit_linear(rows.pick(outside.tolist()).examples, schema=schema, settings=settings)
        for task, logits in fitted.model.logits(rows.pick(inside.tolist()).texts).logits.items():
            found.setdefault(task, np.zeros((len(rows), *logits.shape[1:]), dtype=logits.dtype))[inside] = logits
        step()
    return found


def fold_numbers(texts: tuple[str, ...], *, folds: int, seed: int) -> npt.NDArray[np.intp]:
    """Fold of each text, 0 to folds-1, of nearly equal sizes."""
    groups = np.array(exact_groups(texts))
    order = np.random.default_rng(seed).permutation(groups.max() + 1)
    found: npt.NDArray[np.intp] = (order % folds)[groups]
    return found
