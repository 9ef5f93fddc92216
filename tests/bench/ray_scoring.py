"""How much slower Ray is than the local path on one machine, and how that fades with the number of rows.

    FANKUI_DATA=FOLDER python -m tests.bench.ray_scoring [--rows 10000 --rows 50000 --rows 200000] [--rounds 1]

Both are the command as it is typed, on all cores, with the duplicate cache off, on a parquet file of distinct comments
out of the feedback sets of `$FANKUI_DATA`; interleaved. Start-up is the time of the same command for one comment. The
ratio is the local path's time over Ray's: whole, and with each one's start-up taken out.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from pipeline.data_folder import data_folder
from pipeline.errors import TextError
from pipeline.prepare import prepare
from training.public_sets import present_sets, public_sets, texts_of

_ENGINES = {"local": [], "ray": ["--engine", "ray"]}
_CANDIDATES = 3  # drawn a row wanted: many are equal once they are prepared


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Sizes to measure.")] = None,
    rounds: Annotated[int, typer.Option(help="Repetitions of each.")] = 1,
    model: Annotated[str, typer.Option(help="As for `fankui score`.")] = "default",
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
) -> None:
    """Measure and print."""
    sizes = sorted(rows or [10_000, 50_000, 200_000])
    texts = distinct_texts(data_folder(), count=sizes[-1], seed=seed)
    with tempfile.TemporaryDirectory(prefix="fankui-bench-") as name:
        folder = Path(name)
        starting = {engine: _median(engine, _file(folder, texts[:1]), model, rounds) for engine in _ENGINES}
        console = Console()
        told = ", ".join(f"{engine} {seconds:.1f} s" for engine, seconds in starting.items())
        console.print(f"start-up and one comment, whole command: {told}; {os.cpu_count()} cores")
        table = Table("rows", "local s", "ray s", "ratio whole", "ratio without start-up", "spread")
        for size in sizes:
            file = _file(folder, texts[:size])
            found: dict[str, list[float]] = {engine: [] for engine in _ENGINES}
            for _ in range(rounds):
                for engine, seconds in found.items():
                    seconds.append(_run(engine, file, model))
            local, ray = (statistics.median(found[engine]) for engine in _ENGINES)
            pairs = [
                (one - starting["local"]) / (other - starting["ray"])
                for one, other in zip(found["local"], found["ray"], strict=True)
            ]
            ratio = statistics.median(pairs)
            spread = f"{(max(pairs) - min(pairs)) / ratio:.2f}"
            table.add_row(
                f"{len(texts[:size]):,}", f"{local:.1f}", f"{ray:.1f}", f"{local / ray:.2f}", f"{ratio:.2f}", spread
            )
        console.print(table)


def distinct_texts(data: Path, *, count: int, seed: int) -> list[str]:
    """Up to `count` comments that differ once they are prepared, drawn by seed over all feedback sets."""
    sets = [one for one in present_sets(data, public_sets()) if one.kind == "feedback"]
    found = dict.fromkeys(text for one in sets for split in one.text for text in texts_of(data, one, split))
    everything = list(found)
    drawn = np.random.default_rng(seed).permutation(len(everything))[: _CANDIDATES * count]
    kept: dict[str, str] = {}
    for i in drawn:
        try:
            kept.setdefault(prepare(everything[i]).text, everything[i])
        except TextError:
            continue
        if len(kept) == count:
            break
    return list(kept.values())


def _file(folder: Path, texts: list[str]) -> Path:
    path = folder / f"{len(texts)}.parquet"
    pq.write_table(pa.table({"id": list(range(len(texts))), "text": texts}), path, row_group_size=65_536)
    return path


def _median(engine: str, file: Path, model: str, rounds: int) -> float:
    return statistics.median(_run(engine, file, model) for _ in range(max(rounds, 2)))


def _run(engine: str, file: Path, model: str) -> float:
    """Seconds of the whole command."""
    target = file.with_name(f"scored-{engine}.parquet")
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "fankui", "score", str(file), "-o", str(target), "--json", "--no-cache"]
    began = time.perf_counter()
    done = subprocess.run([*command, "--model", model, *_ENGINES[engine]], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    body = json.loads(done.stdout)
    count = body["rows"] if engine == "ray" else body["files"][0]["rows"]
    if count != pq.read_metadata(file).num_rows or pq.read_metadata(target).num_rows != count:
        raise RuntimeError(f"{engine}: {count} rows told, {pq.read_metadata(target).num_rows} written")
    return seconds


if __name__ == "__main__":
    typer.run(main)
