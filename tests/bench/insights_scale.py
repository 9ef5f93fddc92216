"""Insights over many rows: seconds and memory of `fankui insights topics` and `report`, embeddings told apart.

    FANKUI_DATA=… python -m tests.bench.insights_scale [--rows 200000]

Different comments of the public feedback sets, on days drawn over sixteen weeks, with shops, channels, products and
customers that are drawn too: nothing stands out, so that all of the time goes into looking.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from tests.bench.batch_texts import SEED, distinct_comments
from tests.bench.batch_watch import run, score

SOURCE, SCORED = "in.parquet", "scored.parquet"
DAYS = 112
LIMIT_SECONDS, LIMIT_BYTES = 300, 4 * 10**9


def main() -> None:
    """Make the file, score it, look at it, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.insights_scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    console = Console(width=130)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_source(folder / SOURCE, distinct_comments(rows))
        scored = score((SOURCE, "-o", SCORED, "--model", "default", "--embeddings"), folder=folder)
        console.print(f"{rows:,} comments scored with embeddings: {scored.seconds:.0f} s, apart")
        for words in (("topics", SCORED), ("report", SCORED, "-o", "report.html")):
            found = run(("insights", *words, "--json"), folder=folder)
            fits = found.seconds <= LIMIT_SECONDS and found.peak_bytes <= LIMIT_BYTES
            told = f"insights {words[0]}: {found.seconds:.0f} s, {found.peak_bytes / 1e9:.2f} GB"
            console.print(f"{told} (aim: {LIMIT_SECONDS} s, 4 GB: {'met' if fits else 'missed'})")


def write_source(path: Path, texts: list[str]) -> None:
    """A row a text, in order of time."""
    rng = np.random.default_rng(SEED)
    count = len(texts)
    seconds = np.sort(rng.integers(0, DAYS * 86_400, count))

    def drawn(name: str, values: int) -> list[str]:
        return [f"{name}{i}" for i in rng.integers(0, values, count)]

    columns = {
        "id": [f"r{i}" for i in range(count)],
        "text": texts,
        "created_at": pa.array(np.datetime64("2026-08-03T00:00:00") + seconds.astype("timedelta64[s]")),
        "shop": drawn("shop ", 40),
        "channel": drawn("channel ", 4),
        "product": drawn("product ", 30),
        "customer_ref": drawn("c", max(count // 2, 1)),
    }
    pq.write_table(pa.table(columns), path)


if __name__ == "__main__":
    main()
