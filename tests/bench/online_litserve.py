"""The encoder behind LitServe, with its own batching: up to 32 comments, waited for 2 ms.

python -m tests.bench.online_litserve --encoder FOLDER --port 8001
"""

import argparse
from typing import Any

import litserve
from transformers import pipeline


class Classifier(litserve.LitAPI):
    """At the top of a module, because LitServe pickles it for its worker."""

    encoder = ""

    def setup(self, device: str) -> None:
        """Open the pipeline in the worker."""
        self.pipeline = pipeline("text-classification", model=self.encoder)

    def decode_request(self, request: dict[str, Any]) -> str:
        """The text."""
        return str(request["text"])

    def predict(self, x: list[str]) -> list[Any]:
        """Label and score of each text."""
        return list(self.pipeline(x, batch_size=len(x), truncation=True, max_length=256))

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """As it is."""
        return output


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    api = Classifier(max_batch_size=32, batch_timeout=0.002)
    api.encoder = options.encoder
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=options.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
