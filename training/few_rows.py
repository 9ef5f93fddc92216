"""How few labelled rows are too few to calibrate on, and what is said of them."""

from collections.abc import Mapping, Sequence

from pipeline.schema import LabelSchema
from training.columns import Labels, labeled

MIN_ROWS = 50  # below it a temperature is more noise than gain, and no precision is proven: nothing is `auto`
SURE_ROWS = 200  # below it probabilities and thresholds are fitted, but unsure


def too_few(schema: LabelSchema, gold: Mapping[str, Labels]) -> tuple[str, ...]:
    """Tasks with fewer than MIN_ROWS labelled rows to calibrate on: their zone is never `auto`."""
    counts = {name: int(labeled(column).sum()) for name, column in gold.items()}
    return tuple(task.name for task in schema.tasks if counts.get(task.name, 0) < MIN_ROWS)


def never_auto(few: Sequence[str]) -> str:
    """One line on such tasks."""
    return f"never auto: {', '.join(few)}; fewer than {MIN_ROWS} labelled rows to calibrate on"


def unsure(rows: int) -> str:
    """What to add where probabilities and thresholds were fitted to this many rows, or nothing."""
    few = rows < SURE_ROWS
    return f"; with fewer than {SURE_ROWS} rows the probabilities and thresholds are unsure" if few else ""
