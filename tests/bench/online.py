"""Requests a second and waiting times of `fankui serve` beside what people would serve the same encoder with.

    FANKUI_DATA=FOLDER python -m tests.bench.online

Every server gets single comments out of the feedback sets of `$FANKUI_DATA` (a seeded sample, all different), from 1,
16 and 64 clients that wait for their answers, and then at times drawn by chance at half the rate that 64 reached.
The servers take turns, three times over; the load shares the machine's cores with them. LitServe is measured where it
is installed (`pip install -e ".[bench]"`).
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.bench.online_load import Load, closed_loop, open_loop
from tests.bench.online_servers import Peer, peers, running
from training.public_sets import present_sets, public_sets, texts_of

CLIENTS = (1, 16, 64)
_WARM_UP = 2.0  # seconds


@dataclass
class Round:
    """What one server gave in one turn."""

    closed: dict[int, Load] = field(default_factory=dict)
    chance: Load = field(default_factory=Load)


@dataclass(frozen=True)
class Yardstick:
    """The engine alone, in one turn."""

    rate: float
    long_ms: float
    long_characters: int


def main(  # noqa: PLR0917
    seconds: Annotated[float, typer.Option(help="Of each stretch of load.")] = 8.0,
    rounds: Annotated[int, typer.Option(help="Turns of every server.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="Servers whose name contains this; may be repeated.")] = None,
    workers: Annotated[int, typer.Option(help="Of fankui; default as many as cores.")] = 0,
    texts: Annotated[int, typer.Option(help="Comments.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 7,
) -> None:
    """Measure and print the tables."""
    console = Console(width=160)
    cores = len(os.sched_getaffinity(0))
    workers = workers or cores
    comments = sample(Path(os.environ["FANKUI_DATA"]), count=texts, seed=seed)
    with tempfile.TemporaryDirectory(prefix="fankui-bench-") as folder:
        work = Path(folder)
        (work / "texts.json").write_text(json.dumps(comments), encoding="utf-8")
        servers = [
            peer
            for name, peer in peers(work, workers=workers).items()
            if not only or any(part in name for part in only)
        ]
        found: dict[str, list[Round]] = {peer.name: [] for peer in servers}
        engine: list[Yardstick] = []
        for number in range(rounds):
            engine.append(_engine(work, seconds=seconds, threads=max(1, cores // workers)))
            console.print(f"{number + 1}: engine alone {engine[-1].rate:,.0f}/s")
            for peer in servers:
                found[peer.name].append(_turn(peer, work, comments, seconds=seconds, seed=seed + number))
                last = found[peer.name][-1].closed[CLIENTS[-1]]
                console.print(f"{number + 1}: {peer.name} {last.rate:,.1f}/s, {last.failures} failures")
    console.print(_rates(found))
    console.print(_ratios(found, engine))


def sample(data: Path, *, count: int, seed: int) -> list[str]:
    """Different comments out of the feedback sets, in an order drawn by chance."""
    sets = [one for one in present_sets(data, public_sets()) if one.kind == "feedback"]
    every = dict.fromkeys(
        text for one in sets for split in one.text for text in texts_of(data, one, split) if text.strip()
    )
    return random.Random(seed).sample(sorted(every), min(count, len(every)))


def _engine(work: Path, *, seconds: float, threads: int) -> Yardstick:
    command = [sys.executable, "-m", "tests.bench.online_engine", "--texts", str(work / "texts.json")]
    command += ["--seconds", str(seconds), "--threads", str(threads)]
    root = Path(__file__).parents[2]
    return Yardstick(**json.loads(subprocess.check_output(command, cwd=root)))


def _turn(peer: Peer, work: Path, comments: Sequence[str], *, seconds: float, seed: int) -> Round:
    requests = peer.requests(comments)
    random.Random(seed).shuffle(requests)
    found = Round()
    with running(peer, work=work, text=comments[0]) as port:
        closed_loop(port, requests, clients=CLIENTS[-1], seconds=_WARM_UP)
        for i, clients in enumerate(CLIENTS):
            part = requests[i * len(requests) // 4 :]
            found.closed[clients] = closed_loop(port, part, clients=clients, seconds=seconds)
        rate = found.closed[CLIENTS[-1]].rate / 2
        if not rate:
            raise RuntimeError(f"{peer.name} answered nothing")
        found.chance = open_loop(port, requests[3 * len(requests) // 4 :], rate=rate, seconds=seconds, seed=seed)
    return found


def _rates(found: dict[str, list[Round]]) -> Table:
    table = Table("requests/s (p50 / p99 ms)", *(f"{clients} clients" for clients in CLIENTS), "by chance", "failures")
    for name, rounds in found.items():
        cells = [_cell([one.closed[clients] for one in rounds]) for clients in CLIENTS]
        failures = sum(load.failures for one in rounds for load in (*one.closed.values(), one.chance))
        table.add_row(name, *cells, _cell([one.chance for one in rounds]), str(failures))
    own = max(load.processor for rounds in found.values() for one in rounds for load in one.closed.values())
    lag = statistics.median(1000 * statistics.median(one.chance.lags) for rounds in found.values() for one in rounds)
    table.caption = f"medians of the turns; the load itself took at most {own:.0%} of a core and was {lag:.1f} ms late"
    return table


def _cell(loads: Sequence[Load]) -> str:
    def middle(value: Callable[[Load], float]) -> float:
        return statistics.median(value(load) for load in loads)

    rate = middle(lambda load: load.rate)
    return (
        f"{rate:,.0f} ({middle(lambda load: load.quantile(0.5)):.1f} / {middle(lambda load: load.quantile(0.99)):.1f})"
    )


def _ratios(found: dict[str, list[Round]], engine: Sequence[Yardstick]) -> Table:
    table = Table("fankui against", "median", "from", "to", "target")
    ours = found.get("fankui", [])
    most = CLIENTS[-1]
    targets = {"mlflow models serve, HF pipeline": ">= 7", "FastAPI + HF pipeline": ">= 10"}
    for name, rounds in found.items():
        if name != "fankui" and ours:
            ratios = [a.closed[most].rate / b.closed[most].rate for a, b in zip(ours, rounds, strict=True)]
            _row(table, f"{name}, {most} clients, requests/s", ratios, targets.get(name, ""))
    if ours:
        together = list(zip(ours, engine, strict=True))
        shares = [one.closed[most].rate / alone.rate for one, alone in together]
        _row(table, f"engine alone ({_median(engine):,.0f}/s), {most} clients, requests/s", shares, ">= 0.7")
        tails = [one.chance.quantile(0.99) for one in ours]
        _row(table, "p99 by chance, ms", tails, "<= 25")
        longest = engine[0].long_characters
        passes = statistics.median(alone.long_ms for alone in engine)
        ratios = [one.chance.quantile(0.99) / alone.long_ms for one, alone in together]
        _row(table, f"p99 by chance, in passes of {longest} characters ({passes:.1f} ms)", ratios, "<= 4")
    return table


def _median(engine: Sequence[Yardstick]) -> float:
    return statistics.median(alone.rate for alone in engine)


def _row(table: Table, name: str, values: Sequence[float], target: str) -> None:
    table.add_row(name, *(f"{value:.2f}" for value in (statistics.median(values), min(values), max(values))), target)


if __name__ == "__main__":
    typer.run(main)
