"""What is in a labelled file: label counts, lengths, sources, channels, the time it spans."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pipeline.feedback import Example, Gold
from pipeline.schema import POLARITIES, LabelSchema

PERCENTILES = (1, 25, 50, 75, 95, 99, 100)


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts over examples. `labels` has every label of the schema, also those that never occur."""

    rows: int
    labels: Mapping[str, Mapping[str, int]]  # task -> label (aspects: `logistics:-1`) -> rows
    labelled: Mapping[str, int]  # task -> rows that have a label for it
    lengths: Mapping[int, int]  # percentile -> characters of the raw text
    sources: Mapping[str, int]
    channels: Mapping[str, int]
    first: str | None  # earliest and latest created_at, ISO 8601
    last: str | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "labels": {task: dict(counts) for task, counts in self.labels.items()},
            "labelled": dict(self.labelled),
            "lengths": {f"p{percentile}": length for percentile, length in self.lengths.items()},
            "sources": dict(self.sources),
            "channels": dict(self.channels),
            "first": self.first,
            "last": self.last,
        }


def stats(examples: Sequence[Example], schema: LabelSchema) -> Stats:
    """Count everything in one pass over the examples."""
    labels: dict[str, Counter[str]] = {task.name: Counter() for task in schema.tasks}
    labelled: Counter[str] = Counter({task.name: 0 for task in schema.tasks})
    for example in examples:
        for task, gold in example.labels.items():
            labels[task].update(label_names(gold))
            labelled[task] += 1
    times = [example.feedback.created_at for example in examples if example.feedback.created_at]
    # Times with and without a zone do not compare; a day's difference does not matter here.
    times.sort(key=lambda time: time if time.tzinfo else time.replace(tzinfo=UTC))
    return Stats(
        rows=len(examples),
        labels={task.name: _ordered(labels[task.name], task.keys) for task in schema.tasks},
        labelled=dict(labelled),
        lengths=percentiles([len(example.text) for example in examples]),
        sources=dict(Counter(example.source for example in examples if example.source).most_common()),
        channels=dict(Counter(str(example.feedback.channel) for example in examples if example.feedback.channel)),
        first=times[0].isoformat() if times else None,
        last=times[-1].isoformat() if times else None,
    )


def label_names(gold: Gold) -> list[str]:
    """One name for each label in a gold value; an aspect's name holds its polarity: `logistics:-1`."""
    if isinstance(gold, str):
        return [gold]
    if isinstance(gold, Mapping):
        return [f"{key}:{polarity:+d}" if polarity else f"{key}:0" for key, polarity in gold.items()]
    return list(gold)


def percentiles(values: Sequence[int]) -> dict[int, int]:
    """Nearest-rank percentiles; empty for no values."""
    ordered = sorted(values)
    return {p: ordered[max(0, -(-p * len(ordered) // 100) - 1)] for p in PERCENTILES} if ordered else {}


def _ordered(counts: Counter[str], keys: Sequence[str]) -> dict[str, int]:
    """Counts in schema order, polarities of an aspect from negative to positive; a plain label also where it is 0."""
    aspects = [name for key in keys for value in sorted(POLARITIES) for name in label_names({key: value})]
    names = [name for name in aspects if name in counts] or keys
    return {name: counts[name] for name in names}
