"""Batch scoring beside what a newcomer writes: an HF pipeline with the same encoder, and one with BERT-base.

    FANKUI_DATA=… python -m tests.bench.batch_scoring [--rows 200000] [--repetitions 3]

All take real comments, distinct as a model sees them, with the cache off; the pipelines and the engine's own loop take
a seeded sample of the same texts with the same mix of lengths. Interleaved; medians and spreads, which are (largest -
smallest) / median, of the rates and of the ratios. Start-up counts for `fankui score`, as it would in a shell, and not
for the others.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pipeline.cores import usable_cores
from tests.bench.batch_peers import Work, hf_pipeline, raw_loop, write_bert_base, write_same_encoder
from tests.bench.batch_texts import SEED, distinct_comments
from tests.bench.batch_watch import score

OURS, RAW = "fankui score", "the engine's loop, token ids ready"
SAME, BERT = "HF pipeline, the same encoder", "HF pipeline, BERT-base"
TARGETS = {RAW: 0.85, SAME: 16, BERT: 280}


def main() -> None:
    """Measure and print."""
    options = _options()
    texts = distinct_comments(options.rows)
    rates: dict[str, list[float]] = {}
    peak = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(pa.table({"id": pa.array(range(len(texts)), pa.int32()), "text": texts}), folder / "in.parquet")
        works = peers(folder, texts, options)
        for _ in range(options.repetitions):
            arguments = ("in.parquet", "-o", "out.parquet", "--model", "default", "--no-cache")
            found = score((*arguments, "--workers", str(options.cores)), folder=folder)
            peak = max(peak, found.peak_bytes)
            rates.setdefault(OURS, []).append(len(texts) / found.seconds)
            for what, (work, count) in works.items():
                start = time.perf_counter()
                work()
                rates.setdefault(what, []).append(count / (time.perf_counter() - start))
    show(rates, rows=len(texts), cores=options.cores, peak=peak)
    firsts = [first_answer() for _ in range(5)]
    Console(width=130).print(
        f'fankui score "…", from the shell to its answer: {statistics.median(firsts):.2f} s ({spread(firsts):.2f}); '
        "target <= 1.5 s"
    )


def first_answer() -> float:
    """Seconds that one comment takes on the command line, imports and all."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "fankui", "score", "快递三天没到，客服也不回", "--model", "default"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    return time.perf_counter() - start


def peers(folder: Path, texts: Sequence[str], options: argparse.Namespace) -> dict[str, tuple[Work, int]]:
    """Everything but ours, warmed up: what it is -> its work and of how many comments that is."""
    raw, same, bert = (same_lengths(texts, n) for n in (options.raw_rows, options.peer_rows, options.bert_rows))
    encoder, base = write_same_encoder(folder / "same"), write_bert_base(folder / "bert")
    works = {
        RAW: (raw_loop(raw, cores=options.cores), len(raw)),
        SAME: (hf_pipeline(encoder, same), len(same)),
        BERT: (hf_pipeline(base, bert), len(bert)),
    }
    # The first pass allocates, which counts for nobody.
    raw_loop(raw[:500], cores=options.cores)()
    hf_pipeline(encoder, same[:64])()
    hf_pipeline(base, bert[:32])()
    return works


def same_lengths(texts: Sequence[str], count: int) -> list[str]:
    """A seeded sample with the mix of lengths of the whole: every so-manieth by length, in a seeded order."""
    ordered = sorted(texts, key=len)
    count = min(count, len(ordered))
    places = ((np.arange(count) + 0.5) * len(ordered) / count).astype(int)
    order = np.random.default_rng(SEED).permutation(count)
    return [ordered[places[i]] for i in order]


def spread(values: Sequence[float]) -> float:
    """(largest - smallest) / median."""
    return (max(values) - min(values)) / statistics.median(values)


def show(rates: dict[str, list[float]], *, rows: int, cores: int, peak: int) -> None:
    """Print rates, ratios, memory, and the cost in words that a user knows."""
    table = Table(f"{rows:,} comments, {cores} cores", "a second", "spread", "fankui score is", "spread", "target")
    for what, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates[OURS], found, strict=True)]
        told = ["", "", ""]
        if what in TARGETS:
            told = [f"{statistics.median(ratios):,.2f} x", f"{spread(ratios):.2f}", f">= {TARGETS[what]} x"]
        table.add_row(what, f"{statistics.median(found):,.1f}", f"{spread(found):.2f}", *told)
    console = Console(width=130)
    console.print(table)
    rate = statistics.median(rates[OURS])
    console.print(
        f"All processes together held at most {peak / 2**20:,.0f} MiB. {rate * 3600 / cores:,.0f} comments a "
        f"core-hour; {1e7 / rate / 3600 * cores:.1f} core-hours for 10 million."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--peer-rows", type=int, default=2000)
    parser.add_argument("--bert-rows", type=int, default=300)
    parser.add_argument("--raw-rows", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--cores", type=int, default=usable_cores())
    return parser.parse_args()


if __name__ == "__main__":
    main()
