"""How often the danger lexicon is right on labelled comments, group by group.

    python -m tests.bench.dangers [FILE.jsonl …]

Without files: triage/dev.jsonl of the folder that $FANKUI_DATA names. No text is printed.
"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.dangers import Danger, find_dangers, load_dangers
from pipeline.data_folder import data_folder
from pipeline.prepare import prepare

LEVELS = ("low", "medium", "high", "critical")
GRAVE = ("high", "critical")


def main(
    files: Annotated[list[Path] | None, typer.Argument(help="Labelled jsonl; default triage/dev.jsonl.")] = None,
) -> None:
    """Measure and print."""
    files = files or [data_folder() / "triage" / "dev.jsonl"]
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    texts = [prepare(row["text"]).text for row in rows]
    lexicon = load_dangers()
    started = time.process_time()
    found = [find_dangers(text, lexicon) for text in texts]
    seconds = time.process_time() - started
    gold = [row["urgency"] for row in rows]
    console = Console(width=100)
    console.print(_by_group(found, gold))
    for line in _told(found, gold):
        console.print(line, highlight=False)
    characters = sum(map(len, texts)) / len(texts)
    console.print(f"{1e6 * seconds / len(texts):.1f} µs a comment of {characters:.0f} characters", highlight=False)


def _by_group(found: list[tuple[Danger, ...]], gold: list[str]) -> Table:
    """Of the rows that a group fires on: how many there are of each level."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for dangers, level in zip(found, gold, strict=True):
        for key in {(danger.group, danger.level) for danger in dangers}:
            counts.setdefault(key, Counter())[level] += 1
    everything = Counter(level for dangers, level in zip(found, gold, strict=True) if dangers)
    table = Table("group", "raises to", *LEVELS, "precision", title="rows that fire, by their label")
    for (group, raised), count in sorted(counts.items(), key=lambda item: -item[1].total()):
        table.add_row(group, raised, *(str(count[level]) for level in LEVELS), f"{_grave(count):.2f}")
    table.add_section()
    table.add_row("any", "", *(str(everything[level]) for level in LEVELS), f"{_grave(everything):.2f}")
    return table


def _told(found: list[tuple[Danger, ...]], gold: list[str]) -> list[str]:
    fired = Counter(level for dangers, level in zip(found, gold, strict=True) if dangers)
    every = Counter(gold)
    recall = [f"{level} {fired[level]}/{every[level]} ({fired[level] / max(1, every[level]):.2f})" for level in LEVELS]
    return ["rows that fire: " + ", ".join(recall)]


def _grave(count: Counter[str]) -> float:
    return sum(count[level] for level in GRAVE) / max(1, count.total())


if __name__ == "__main__":
    typer.run(main)
