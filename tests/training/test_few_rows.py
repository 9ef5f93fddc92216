"""How few rows are too few."""

import numpy as np

from pipeline.schema import LabelSchema
from training.few_rows import never_auto, too_few, unsure


def test_labelled_rows_count_not_rows(schema: LabelSchema) -> None:
    labels = np.zeros(60, dtype=np.int64)
    masked = np.where(np.arange(60) < 49, 0, -1)
    gold = {"sentiment": labels, "category": masked, "aspects": np.zeros((50, 12), dtype=np.int64)}
    assert too_few(schema, gold) == ("category", "urgency")


def test_what_is_said() -> None:
    assert never_auto(["a", "b"]) == "never auto: a, b; fewer than 50 labelled rows to calibrate on"
    assert unsure(199) == "; with fewer than 200 rows the probabilities and thresholds are unsure"
    assert unsure(200) == ""
