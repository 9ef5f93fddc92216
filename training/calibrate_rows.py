"""Calibration of a model on labelled rows (training/calibrate.py fits it on logits)."""

from models.calibration import Calibration
from models.predictor import LogitModel
from pipeline.schema import LabelSchema
from training.calibrate import fit_calibration
from training.columns import gold_columns
from training.few_rows import too_few
from training.rows import Rows


def calibrated_on(
    model: LogitModel, schema: LabelSchema, rows: Rows, *, precision: float
) -> tuple[Calibration, tuple[str, ...]]:
    """Temperatures, cuts and thresholds of a model on rows that it was not fitted on; the identity without any.

    Beside it the tasks with too few rows for the zone `auto`.
    """
    rows = one_window(model, rows)
    if not len(rows):
        return Calibration.identity(schema), too_few(schema, {})
    logits = model.logits(rows.texts).logits
    gold = gold_columns(rows.examples, schema)
    return fit_calibration(schema, gold, logits, precision=precision), too_few(schema, gold)


def one_window(model: LogitModel, rows: Rows) -> Rows:
    """The rows that the model reads at once; where a text needs several windows, its answer is pooled from such."""
    return rows.pick(i for i, text in enumerate(rows.texts) if len(model.windows(text)) == 1)
