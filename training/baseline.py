"""Fits the linear model: TF-IDF of n-grams, then logistic regressions, one head per task (scikit-learn).

It is what every network must beat, and what answers where no network was trained. Scored by models/linear.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.heads import head_width
from models.linear import Block, LinearModel, grams
from pipeline.feedback import Example, Gold
from pipeline.prepare import prepare
from pipeline.schema import Kind, LabelSchema, Task

Matrix = npt.NDArray[np.float32]

ABSENT = -10.0
"""Bias of a label that no training row has: its probability stays below 0.005 %, but the label keeps its place."""


@dataclass(frozen=True, slots=True)
class LinearSettings:
    """What may be chosen."""

    ngrams: tuple[int, int] = (1, 3)  # shortest and longest run of characters
    max_features: int = 50_000  # the most frequent ones are kept
    min_count: int = 2  # texts that an n-gram must occur in
    words: bool = False  # jieba words and pairs of words as features beside the characters
    # C of the logistic regression: larger fits the training rows more closely. Fitted on 5,979 real comments, at
    # C = 1, 3, 6, 10 the figures on dev were: category macro-F1 0.650, 0.664, 0.673, 0.674; aspects F1 0.585, 0.631,
    # 0.642, 0.640. Words beside the characters (C = 5): category 0.659, sentiment 0.858 instead of 0.843.
    strength: float = 6.0
    class_weight: Literal["balanced", "none"] = "balanced"
    max_iterations: int = 300
    folds: int = 5  # calibrated on every row by models that did not see it; 0: on a share of rows held out


@dataclass(frozen=True)
class FittedLinear:
    """The model, and the files that a bundle holds of it."""

    model: LinearModel
    files: Mapping[str, bytes]


def fit_linear(
    examples: Sequence[Example],
    *,
    schema: LabelSchema,
    settings: LinearSettings | None = None,
    progress: Callable[[str], None] | None = None,
) -> FittedLinear:
    """Fit every task on the rows that have a label for it; a task that no row has gets no weights and answers evenly.

    `progress` is called with a task's name before it is fitted. Raises TextError for a text that cannot be read.
    """
    from threadpoolctl import threadpool_limits

    settings = settings or LinearSettings()
    texts = [prepare(example.text).text for example in examples]
    blocks, features = _features(texts, settings)
    weights: dict[str, Matrix] = {}
    biases: dict[str, Matrix] = {}
    # Sparse products use one core anyway; more threads only wait for each other (949 rows on a busy machine with two
    # cores: 17 s of processor time with two threads, 4 s with one).
    with threadpool_limits(limits=1):
        for task in schema.tasks:
            if progress is not None:
                progress(task.name)
            rows = [i for i, example in enumerate(examples) if task.name in example.labels]
            gold = [examples[i].labels[task.name] for i in rows]
            weight, bias = _fit_task(task, features[rows], gold, settings)
            weights[task.name] = weight.astype(np.float32)
            biases[task.name] = bias.astype(np.float32)
    model = LinearModel(schema=schema, blocks=blocks, weights=weights, biases=biases)
    return FittedLinear(model, model.files())


def _features(texts: Sequence[str], settings: LinearSettings) -> tuple[list[Block], Any]:
    """The blocks and the (texts, terms) sparse matrix."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    kinds: list[tuple[Literal["char", "word"], tuple[int, int]]] = [("char", settings.ngrams)]
    if settings.words:
        kinds.append(("word", (1, 2)))
    blocks, matrices = [], []
    for unit, ngrams in kinds:
        vectorizer = TfidfVectorizer(
            # Our own cutter, so that training and scoring cannot differ in it.
            analyzer=lambda text, unit=unit, ngrams=ngrams: grams(text, unit=unit, ngrams=ngrams),
            sublinear_tf=True,
            min_df=min(settings.min_count, max(1, len(texts))),
            max_features=settings.max_features,
        )
        matrices.append(vectorizer.fit_transform(texts))
        terms = tuple(str(term) for term in vectorizer.get_feature_names_out())
        blocks.append(Block(unit, ngrams, terms, vectorizer.idf_.astype(np.float32)))
    return blocks, hstack(matrices).tocsr()


def _fit_task(
    task: Task, features: Any, gold: Sequence[Gold], settings: LinearSettings
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weights (terms, product of head_width) and biases (product of head_width,)."""
    if task.kind is Kind.SINGLE:
        targets = np.array([task.index(str(label)) for label in gold], dtype=np.intp)
        return _softmax(features, targets, classes=len(task.labels), settings=settings)
    if task.kind is Kind.ORDINAL:
        targets = np.array([task.index(str(label)) for label in gold], dtype=np.intp)
        heads = [
            _binary(features[targets >= j], targets[targets >= j] > j, settings) for j in range(len(task.labels) - 1)
        ]
    elif task.kind is Kind.MULTI:
        heads = [
            _binary(features, np.array([key in label for label in gold], dtype=np.bool_), settings) for key in task.keys
        ]
    else:
        heads = [
            _softmax(features, _states(gold, key), classes=head_width(task)[1], settings=settings) for key in task.keys
        ]
    weights = np.hstack([weight.reshape(features.shape[1], -1) for weight, _ in heads])
    return weights, np.concatenate([np.atleast_1d(bias) for _, bias in heads])


def _states(gold: Sequence[Gold], key: str) -> npt.NDArray[np.intp]:
    """State of one aspect category in every row: 0 not mentioned, 1 negative, 2 neutral, 3 positive."""
    return np.array(
        [label[key] + 2 if isinstance(label, Mapping) and key in label else 0 for label in gold], dtype=np.intp
    )


def _softmax(
    features: Any, targets: npt.NDArray[np.intp], *, classes: int, settings: LinearSettings
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Multinomial regression: weights (terms, classes), biases (classes,); classes without a row get ABSENT."""
    weights = np.zeros((features.shape[1], classes))
    present = np.unique(targets)
    if len(present) == 0:
        return weights, np.zeros(classes)
    biases = np.full(classes, ABSENT)
    biases[present] = 0.0
    if len(present) == 1:
        return weights, biases
    fitted = _regression(settings).fit(features, targets)
    if len(present) == 2:  # scikit-learn gives one column, the second class's against the first
        weights[:, present[1]], biases[present[1]] = fitted.coef_[0], fitted.intercept_[0]
    else:
        weights[:, present], biases[present] = fitted.coef_.T, fitted.intercept_
    return weights, biases


def _binary(
    features: Any, targets: npt.NDArray[np.bool_], settings: LinearSettings
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Logistic regression: weights (terms,), bias (1,). Rows that are all of one kind give a smoothed bias alone."""
    yes, rows = int(targets.sum()), len(targets)
    if yes in (0, rows):
        return np.zeros(features.shape[1]), np.array([np.log((yes + 0.5) / (rows - yes + 0.5))])
    fitted = _regression(settings).fit(features, targets)
    return fitted.coef_[0], fitted.intercept_


def _regression(settings: LinearSettings) -> Any:
    from sklearn.linear_model import LogisticRegression

    balanced = settings.class_weight == "balanced"
    return LogisticRegression(
        C=settings.strength, class_weight="balanced" if balanced else None, max_iter=settings.max_iterations
    )
