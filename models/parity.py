"""The proof that two engines of one model give the same probabilities."""

from collections.abc import Sequence

import numpy as np

from models.heads import probabilities
from models.predictor import LogitModel
from pipeline.errors import BundleError
from pipeline.schema import LabelSchema

LIMIT = 1e-4  # greatest difference of a probability, float32
TEXTS = 500


def check_parity(schema: LabelSchema, *, reference: LogitModel, candidate: LogitModel, texts: Sequence[str]) -> float:
    """Greatest absolute difference of any probability over at least 500 prepared texts; cycles through fewer.

    Raises BundleError `parity_failed` above 1e-4, and where a value is not finite.
    """
    # Fewer texts are repeated in pairs, so that the figure always stands on 500 forward passes of varied length.
    sample = list(texts[:TEXTS])
    for i in range(TEXTS - len(sample)):
        sample.append(texts[i % len(texts)] + texts[(7 * i + 1) % len(texts)])
    first, second = reference.logits(sample), candidate.logits(sample)
    worst = 0.0
    for task in schema.tasks:
        gap = np.abs(probabilities(task, first.logits[task.name]) - probabilities(task, second.logits[task.name]))
        worst = max(worst, float(gap.max())) if np.isfinite(gap).all() else float("inf")
    if worst > LIMIT:
        raise BundleError(
            "parity_failed",
            f"the exported graph must give the network's probabilities within {LIMIT:g}; they differ by "
            f"{worst:.2g} on {len(sample)} texts",
        )
    return worst
