"""A long file of few texts, as a stream of real feedback is: rate, memory, what the cache gains, and being killed.

    FANKUI_DATA=… python -m tests.bench.batch_repeats [--rows 10000000] [--distinct 200000] [--kill 2]

The file is made on the way: every row draws one of the distinct comments. `--kill N` kills the job N times with SIGKILL
and runs it again; afterwards every row is checked: there, once, with the answer of its text.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from tests.bench.batch_texts import SEED, distinct_comments
from tests.bench.batch_watch import Watched, score

GROUP = 131_072
SOURCE, TARGET = "in.parquet", "out.parquet"
LIMIT_BYTES = 1536 << 20


def main() -> None:
    """Make the file, score it, check it, and print."""
    options = _options()
    console = Console(width=130)
    texts = distinct_comments(options.distinct)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_source(folder / SOURCE, texts, options.rows)
        size = (folder / SOURCE).stat().st_size
        console.print(f"{options.rows:,} rows of {len(texts):,} distinct comments, {size / 2**20:,.0f} MiB")
        arguments = (SOURCE, "-o", TARGET, "--model", "default", *options.option)
        runs = [_until(folder, arguments, (i + 1) / (options.kill + 1)) for i in range(options.kill)]
        runs.append(score(arguments, folder=folder))
        _tell(console, runs, options)
        check(folder, options.rows)
        console.print("every row is there once, and rows of one text have one answer")


def write_source(path: Path, texts: list[str], rows: int) -> None:
    """Rows that draw from the texts, some thousand at a time."""
    rng = np.random.default_rng(SEED)
    pool = pa.array(texts)
    schema = pa.schema({"id": pa.int32(), "text": pa.string(), "channel": pa.string(), "created_at": pa.string()})
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for first in range(0, rows, GROUP):
            count = min(GROUP, rows - first)
            ids = np.arange(first, first + count, dtype=np.int32)
            times = np.datetime64("2026-01-01T00:00:00") + ids.astype("timedelta64[s]")
            columns = {
                "id": pa.array(ids),
                "text": pool.take(pa.array(rng.integers(0, len(texts), count))),
                "channel": pa.array(["app", "web", "phone", "store"]).take(pa.array(ids % 4)),
                "created_at": pa.array(np.datetime_as_string(times)),
            }
            file.write_table(pa.table(columns, schema=schema))


def check(folder: Path, rows: int) -> None:
    """Ids from first to last; the answers of one text are one, but for the due time. Exits with what is wrong."""
    answers: dict[str, tuple[object, ...]] = {}
    seen = 0
    with pq.ParquetFile(folder / SOURCE) as source, pq.ParquetFile(folder / TARGET) as target:
        names = [name for name in target.schema_arrow.names if name not in (*source.schema_arrow.names, "due_at")]
        given = source.iter_batches(batch_size=GROUP, columns=["text"])
        for batch, before in zip(target.iter_batches(batch_size=GROUP), given, strict=True):
            _demand(batch.column("id").equals(pa.array(range(seen, seen + len(batch)), pa.int32())), f"ids from {seen}")
            _demand(batch.column("text").equals(before.column("text")), f"texts from {seen}")
            seen += len(batch)
            # First and last occurrence in a batch are enough to find an answer that strayed.
            coded = batch.column("text").dictionary_encode()
            indices = np.asarray(coded.indices)
            last = np.zeros(len(coded.dictionary), dtype=np.int64)
            last[indices] = np.arange(len(indices))
            part = batch.take(pa.array(last))
            cells = zip(*(part.column(name).to_pylist() for name in names), strict=True)
            for text, row in zip(coded.dictionary.to_pylist(), cells, strict=True):
                key = tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row)
                _demand(answers.setdefault(text, key) == key, "one answer a text")
    _demand(seen == rows, f"{rows} rows; found {seen}")


def _until(folder: Path, arguments: tuple[str, ...], share: float) -> Watched:
    """Run and kill, once the journal holds a share of the rows."""
    segments = share * pq.read_metadata(folder / SOURCE).num_rows / 8192
    journal = folder / f".{TARGET}.scoring"
    return score(arguments, folder=folder, until=lambda: len(list(journal.glob("*.answers"))) >= segments)


def _tell(console: Console, runs: list[Watched], options: argparse.Namespace) -> None:
    seconds, peak, last = sum(run.seconds for run in runs), max(run.peak_bytes for run in runs), runs[-1].told or {}
    console.print(
        f"{seconds:,.0f} s in {len(runs)} runs: {options.rows / seconds:,.0f} rows a second; all processes together "
        f"held at most {peak / 2**20:,.0f} MiB (limit {LIMIT_BYTES / 2**20:,.0f})"
    )
    console.print(
        f"the last run: {last['resumed']:,} rows were there, {last['cached']:,} came from the cache, "
        f"{last['failed']:,} failed"
    )


def _demand(true: bool, what: str) -> None:
    if not true:
        raise SystemExit(f"wrong: expected {what}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--distinct", type=int, default=200_000)
    parser.add_argument("--kill", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the files are made; some gigabytes")
    parser.add_argument("--option", action="append", default=[], help="for fankui score, such as --option=--no-cache")
    return parser.parse_args()


if __name__ == "__main__":
    main()
