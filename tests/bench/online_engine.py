"""What the engine gives without a server around it: the yardstick of tests.bench.online, in a process of its own.

python -m tests.bench.online_engine --texts FILE.json --seconds 8
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from models.loading import load_predictor
from models.resolving import resolve_model
from pipeline.errors import TextError
from pipeline.prepare import prepare

_BLOCK = 2048  # texts at once, so that batches of like length are found as in a file
_REPEATS = 40


def main() -> None:
    """Measure and print JSON: comments a second of the forward pass, and milliseconds of a long comment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True, help="of one worker of the server")
    options = parser.parse_args()
    texts = []
    for raw in json.loads(options.texts.read_text(encoding="utf-8")):
        try:
            texts.append(prepare(raw).text)
        except TextError:
            continue
    model = load_predictor(resolve_model("default")).model
    model.logits(texts[:_BLOCK])
    began, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < options.seconds:
        block = texts[done % len(texts) :][:_BLOCK]
        model.logits(block)
        done += len(block)
    single = load_predictor(resolve_model("default"), threads=options.threads).model
    long = sorted(texts, key=len)[int(0.99 * len(texts))]
    single.logits([long])
    passes = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        single.logits([long])
        passes.append(time.perf_counter() - start)
    sys.stdout.write(
        json.dumps({"rate": done / spent, "long_ms": statistics.median(passes) * 1000, "long_characters": len(long)})
    )


if __name__ == "__main__":
    main()
