"""Answers of imagined models, drawn with a seed: good enough to measure, made without any training."""

from collections.abc import Callable

import numpy as np
import pytest

from models.calibration import Calibration
from pipeline.feedback import Example, Feedback
from pipeline.schema import Kind, LabelSchema
from training.columns import Floats, Labels
from training.scored import Scored

MakeScored = Callable[..., Scored]


def drawn_answers(
    schema: LabelSchema, rows: int, skill: float, seed: int
) -> tuple[dict[str, Labels], dict[str, Floats]]:
    """Gold labels (the same for every skill), and probabilities that lean to them by `skill`."""
    truth, noise = np.random.default_rng(1), np.random.default_rng(seed)
    gold: dict[str, Labels] = {}
    answers: dict[str, Floats] = {}
    for task in schema.tasks:
        k = len(task.labels)
        if task.kind is Kind.ASPECT:
            gold[task.name] = truth.choice(4, p=(0.85, 0.07, 0.03, 0.05), size=(rows, k))
            logits = noise.normal(size=(rows, k, 4)) + np.array([3.0, 0, 0, 0])
            logits += 2 * skill * np.eye(4)[gold[task.name]]
        else:
            gold[task.name] = truth.integers(0, k, size=rows)
            logits = noise.normal(size=(rows, k)) + skill * np.eye(k)[gold[task.name]]
        odds = np.exp(logits)
        answers[task.name] = odds / odds.sum(axis=-1, keepdims=True)
    return gold, answers


@pytest.fixture
def make_scored(schema: LabelSchema) -> MakeScored:
    """`make_scored(rows=300, skill=2.0)`: answers for invented comments; more skill, more right."""

    def make(
        *, rows: int = 300, skill: float = 2.0, seed: int = 0, version: str = "m@1", labels: LabelSchema = schema
    ) -> Scored:
        gold, answers = drawn_answers(labels, rows, skill, seed)
        examples = [Example(Feedback(f"第{i}条：东西收到了"), {}, source=("shop", "app")[i % 2]) for i in range(rows)]
        return Scored(examples, labels, Calibration.identity(labels), version, answers, gold)

    return make
