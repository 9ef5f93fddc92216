"""The encoder as most people log it to MLflow: a pyfunc model around an HF pipeline. MLflow runs this file."""

from typing import Any

import mlflow
from transformers import pipeline


class Classifier(mlflow.pyfunc.PythonModel):
    """Texts in, label and score out."""

    def load_context(self, context: Any) -> None:
        """Open the pipeline once."""
        self.pipeline = pipeline("text-classification", model=context.artifacts["encoder"])

    def predict(self, context: Any, model_input: list[str], params: dict[str, Any] | None = None) -> list[Any]:
        """One label and its score a text."""
        return list(self.pipeline(model_input, truncation=True, max_length=256))


mlflow.models.set_model(Classifier())
