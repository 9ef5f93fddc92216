"""Runs a command of fankui and watches it: seconds, and the most memory that all of its processes held at once."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

_EVERY = 0.2


@dataclass(frozen=True, slots=True)
class Watched:
    """One command. `told` is what it printed of its file, None where it was killed."""

    seconds: float
    peak_bytes: int
    told: dict[str, Any] | None


def score(arguments: Sequence[str], *, folder: Path, until: Callable[[], bool] | None = None) -> Watched:
    """Run `fankui score ARGUMENTS… --json` in a folder; it is killed, all at once, as soon as `until` says so."""
    found = run(["score", *arguments, "--json"], folder=folder, until=until)
    if found.told is None:
        return found
    (told,) = found.told["files"]
    return replace(found, told=told)


def run(words: Sequence[str], *, folder: Path, until: Callable[[], bool] | None = None) -> Watched:
    """Run `fankui WORDS…`, which prints JSON, in a folder; killed as `score` says. Ends with it where it fails."""
    command = [sys.executable, "-m", "fankui", *words]
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=_environment()) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, resident(watched))
            if until is not None and until():
                process.kill()
                process.wait()
                return Watched(time.perf_counter() - start, peak, None)
            time.sleep(_EVERY)
        seconds = time.perf_counter() - start
        out = process.stdout.read() if process.stdout is not None else b""
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Watched(seconds, peak, json.loads(out))


def resident(process: psutil.Process) -> int:
    """Bytes of a process and all below it; what they share counts for each, so that it is never told too small."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def _environment() -> dict[str, str]:
    import os

    root = str(Path(__file__).parents[2])
    # A thread setting of the shell's would hold for ours and for the peers alike, and measure neither.
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return {**kept, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
