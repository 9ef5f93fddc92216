"""What MLflow runs for `mlflow.pyfunc.load_model`: a model from code that answers as `fankui score` does.

`models/pyfunc_export.py` copies this file beside the model, with the imports of our own rewritten to the
private package that travels along; it is never imported by the project itself.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from models.answer import columns
from models.loading import load_predictor
from pipeline.errors import TextError


class FeedbackModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """One row of text in, one row of labels and probabilities out; a bad text is told in `error`."""

    def load_context(self, context: Any) -> None:
        self.predictor = load_predictor(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Score the column `text`; all columns are strings or doubles, in the order of the signature."""
        rows = []
        for answer in self.predictor.predict_each(model_input["text"].tolist()):
            failed = isinstance(answer, TextError)
            rows.append(columns(self.predictor.schema, None if failed else answer, error=answer if failed else None))
        return pd.DataFrame(rows, index=model_input.index)


mlflow.models.set_model(FeedbackModel())
