"""A server as people write it around an HF pipeline, to measure ours beside it; and the folders that all peers need.

python -m tests.bench.online_peers naive --encoder FOLDER --port 8001
python -m tests.bench.online_peers litserve --encoder FOLDER --port 8001
"""

import argparse
import warnings
from pathlib import Path
from typing import Any


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    naive(options.encoder, options.port)


def naive(encoder: str, port: int) -> None:
    """FastAPI's own tutorial with a pipeline in it."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from transformers import pipeline

    app = FastAPI()
    classifier = pipeline("text-classification", model=encoder)

    class Comment(BaseModel):
        text: str

    @app.post("/predict")
    def predict(comment: Comment) -> dict[str, Any]:
        (found,) = classifier(comment.text, truncation=True, max_length=256)
        return {"label": found["label"], "score": found["score"]}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def write_encoder(folder: Path) -> None:
    """The shipped encoder with three labels on top (random: only its speed counts), as a folder of transformers."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    from pipeline.resources import shipped

    source = shipped("models", "encoder")
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(source, num_labels=3, dtype=torch.float32)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)


def write_pyfunc(encoder: Path, folder: Path) -> None:
    """The encoder logged the usual way, for `mlflow models serve`."""
    import mlflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(Path(__file__).with_name("online_pyfunc.py")),
            artifacts={"encoder": str(encoder)},
            pip_requirements=["mlflow", "transformers", "torch"],
            input_example=["快递三天没到，客服也不回"],
        )


if __name__ == "__main__":
    main()
