"""What MLflow runs for `mlflow.pyfunc.load_model`: a model from code that answers as `fankui score` does.

`models/pyfunc_export.py` copies this file beside the model, with the imports of our own rewritten to the
private package that travels along; it is never imported by the project itself.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from models.answer import column_kinds, columns
from models.loading import load_predictor
from pipeline.cells import flat
from pipeline.errors import FeedbackError

_DTYPES = {"number": "float64", "integer": "Int64", "flag": "bool"}  # every other kind is text


class FeedbackModel(PythonModel):
    """One row of text in, one row of labels and probabilities out; a bad text is told in `error`."""

    def load_context(self, context: Any) -> None:
        self.predictor = load_predictor(Path(context.artifacts["bundle"]))

    # MLflow allows to leave the context out; the signature of its base class does not say so.
    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:  # type: ignore[override]
        """Score the column `text`; lists and aspects are text as in csv: `a;b`, `logistics:-1;product:+1`."""
        schema = self.predictor.schema
        kinds = dict(column_kinds(schema))
        rows = [
            columns(schema, None, model_version=self.predictor.model_version, error=answer)
            if isinstance(answer, FeedbackError)
            else columns(schema, answer)
            for answer in self.predictor.predict_each(model_input["text"].tolist())
        ]
        table = pd.DataFrame({name: [_cell(row[name], kind) for row in rows] for name, kind in kinds.items()})
        table = table.astype({name: _DTYPES.get(kind, "string") for name, kind in kinds.items()})
        return table.set_axis(model_input.index)


def _cell(value: Any, kind: str) -> Any:
    """As in csv, missing text is empty and a missing flag is off.

    MLflow's `spark_udf` writes pandas' missing text as "<NA>", and one missing flag ends its whole job.
    """
    if kind == "flag":
        return value is True
    return value if kind in _DTYPES else flat(value) or ""


mlflow.models.set_model(FeedbackModel())
