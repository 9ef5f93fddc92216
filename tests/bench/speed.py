"""Comments a second on one core: preparing text and the shipped model, beside scikit-learn's n-gram transform.

    OMP_NUM_THREADS=1 python -m tests.bench.speed

All three take the same samples in one run, interleaved, five times; the median and the spread are told.
"""

import json
import statistics
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer

from models.loading import load_predictor
from models.resolving import resolve_model
from pipeline.prepare import prepare
from pipeline.resources import shipped

ROUNDS = 5


def main() -> None:
    """Measure and print."""
    lines = [
        line
        for part in ("train", "dev", "test")
        for line in shipped("data", "samples", f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    texts = [json.loads(line)["text"] for line in lines]
    predictor = load_predictor(resolve_model("default"), threads=1)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), max_features=50_000, sublinear_tf=True).fit(texts)
    works: dict[str, Callable[[], object]] = {
        "normalize and mask": lambda: [prepare(text) for text in texts],
        "score with the shipped model": lambda: predictor.predict(texts),
        "scikit-learn: transform alone": lambda: vectorizer.transform(texts),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            rates[name].append(len(texts) / (time.perf_counter() - start))
    table = Table("comments a second", "median", "spread")
    for name, found in rates.items():
        middle = statistics.median(found)
        table.add_row(name, f"{middle:,.0f}", f"{(max(found) - min(found)) / middle:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
