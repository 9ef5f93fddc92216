"""Train, dev and test parts of labelled rows: near-duplicates stay together, labels keep their shares.

Stratification is iterative (Sechidis, Tsoumakas and Vlahavas 2011), over whole groups: the rarest labels choose first,
and each group goes where its labels are furthest from their share.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.atomic import atomic_folder
from pipeline.duplicates import DisjointSets, near_duplicate_groups, text_key
from pipeline.errors import ConfigError, UsageError
from pipeline.feedback import Example
from pipeline.stats import label_names
from pipeline.writers import Column, open_writer

PARTS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint parts, each in the order of the input, and how they came about."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]
    seed: int
    fractions: tuple[float, float, float]
    stratify: tuple[str, ...]
    threshold: float

    def parts(self) -> dict[str, tuple[Example, ...]]:
        return {"train": self.train, "dev": self.dev, "test": self.test}


def split_examples(
    examples: Sequence[Example],
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    stratify: Sequence[str] | None = None,
    threshold: float = 0.8,
) -> Split:
    """Split so that no near-duplicate and no `group` is on two sides; same input and seed, same parts.

    `stratify` names the tasks whose labels keep their shares (each alone, and those of one label a row jointly);
    by default all. Raises ConfigError `fractions_invalid`, `extra_missing`, `threshold_invalid`.
    """
    _check_fractions(fractions)
    tasks = tuple(stratify) if stratify is not None else _tasks(examples)
    groups = _groups(examples, threshold=threshold)
    traits = [Counter(trait for i in members for trait in _traits(examples[i], tasks)) for members in groups]
    sides = _assign(groups, traits, fractions=fractions, seed=seed)
    chosen: list[list[int]] = [[], [], []]
    for members, side in zip(groups, sides, strict=True):
        chosen[side].extend(members)
    named = _named(examples, groups)
    train, dev, test = (tuple(named[i] for i in sorted(rows)) for rows in chosen)
    return Split(train, dev, test, seed=seed, fractions=fractions, stratify=tasks, threshold=threshold)


def write_split(split: Split, folder: Path, *, inputs: Sequence[Path] = ()) -> dict[str, Any]:
    """Write train.jsonl, dev.jsonl, test.jsonl and manifest.json (sha256, seed, counts); the folder appears whole.

    Empty parts are not written. Raises UsageError `output_exists`, DataError `write_failed`.
    """
    if folder.exists():
        raise UsageError("output_exists", f"{folder} exists already; name a new folder with --output")
    with atomic_folder(folder) as temporary:
        files = {}
        for part, examples in split.parts().items():
            if examples:
                path = temporary / f"{part}.jsonl"
                _write_part(path, examples)
                files[path.name] = {"sha256": _sha256(path), **_summary(examples)}
        manifest = {
            "format": 1,
            "seed": split.seed,
            "fractions": dict(zip(PARTS, split.fractions, strict=True)),
            "stratify": list(split.stratify),
            "near_duplicate_threshold": split.threshold,
            "inputs": [{"name": path.name, "sha256": _sha256(path)} for path in inputs],
            "files": files,
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
        (temporary / "manifest.json").write_text(text, encoding="utf-8")
    return manifest


def _check_fractions(fractions: tuple[float, float, float]) -> None:
    if len(fractions) != 3 or min(fractions) < 0 or fractions[0] == 0 or abs(sum(fractions) - 1) > 1e-6:
        shown = ", ".join(f"{fraction:g}" for fraction in fractions)
        message = f"fractions of train, dev and test are not negative, train's not 0, and sum to 1; found {shown}"
        raise ConfigError("fractions_invalid", message)


def _tasks(examples: Iterable[Example]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task for example in examples for task in example.labels))


def _groups(examples: Sequence[Example], *, threshold: float) -> list[list[int]]:
    """Rows that must stay together: near-duplicates, and those that share a `group`, in chains."""
    near = near_duplicate_groups([example.text for example in examples], threshold=threshold)
    sets = DisjointSets(len(examples))
    first: dict[object, int] = {}
    for i, (example, number) in enumerate(zip(examples, near, strict=True)):
        for mark in (number, example.group) if example.group else (number,):
            sets.join(first.setdefault(mark, i), i)
    members: dict[int, list[int]] = {}
    for i in range(len(examples)):
        members.setdefault(sets.root(i), []).append(i)
    return list(members.values())


def _traits(example: Example, tasks: Sequence[str]) -> list[tuple[Any, ...]]:
    """What should be spread evenly: the row itself, its labels jointly, and each of them."""
    joint = tuple((task, label) for task in tasks if isinstance(label := example.labels.get(task), str))
    found: list[tuple[Any, ...]] = [(), joint, *joint]
    for task in tasks:
        gold = example.labels.get(task)
        if isinstance(gold, Mapping):
            found.extend((task, *pair) for pair in gold.items())
        elif isinstance(gold, tuple):
            found.extend((task, label) for label in gold)
    return found


def _assign(
    groups: Sequence[Sequence[int]],
    traits: Sequence[Counter[tuple[Any, ...]]],
    *,
    fractions: tuple[float, float, float],
    seed: int,
) -> list[int]:
    """Part (0, 1, 2) of each group."""
    totals: Counter[tuple[Any, ...]] = Counter()
    for mine in traits:
        totals.update(mine)
    missing = [{trait: fraction * total for trait, total in totals.items()} for fraction in fractions]
    open_parts = [part for part, fraction in enumerate(fractions) if fraction > 0]
    order = list(range(len(groups)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda g: (min(totals[trait] for trait in traits[g]), -len(groups[g])))
    sides = [0] * len(groups)
    for g in order:

        def need(part: int, mine: Counter[tuple[Any, ...]] = traits[g]) -> tuple[float, float]:
            # The unfilled share, relative to what the part should get: all parts start at 1.
            share = sum(n * missing[part][trait] / (fractions[part] * totals[trait]) for trait, n in mine.items())
            return share, fractions[part]

        sides[g] = side = max(open_parts, key=need)
        for trait, count in traits[g].items():
            missing[side][trait] -= count
    return sides


def _named(examples: Sequence[Example], groups: Sequence[Sequence[int]]) -> list[Example]:
    """The examples, with a group name where near-duplicates were found and none was given."""
    named = list(examples)
    for members in groups:
        if len(members) > 1:
            # By content, so that names from two splits never clash.
            digest = hashlib.sha256(text_key(examples[members[0]].text).encode("utf-8", "replace")).hexdigest()
            name = next((examples[i].group for i in members if examples[i].group), f"near-{digest[:12]}")
            for i in members:
                named[i] = replace(examples[i], group=examples[i].group or name)
    return named


def _write_part(path: Path, examples: Sequence[Example]) -> None:
    with open_writer(path, columns=[Column(name) for name in ("id", "text")]) as writer:
        writer.write([to_row(example) for example in examples])


def to_row(example: Example) -> dict[str, Any]:
    """An example as the row it was read from: what is empty is left out, other columns are kept."""
    feedback = example.feedback
    known = {
        "id": feedback.id,
        "text": feedback.text,
        "channel": feedback.channel,
        "created_at": feedback.created_at,
        "customer_ref": feedback.customer_ref,
        "source": example.source,
        "group": example.group,
    }
    labels = {task: dict(gold) if isinstance(gold, Mapping) else gold for task, gold in example.labels.items()}
    return {**feedback.metadata, **{name: value for name, value in known.items() if value}, **labels}


def _summary(examples: Sequence[Example]) -> dict[str, Any]:
    labels: dict[str, Counter[str]] = {task: Counter() for task in _tasks(examples)}
    for example in examples:
        for task, gold in example.labels.items():
            labels[task].update(label_names(gold))
    ordered = {task: dict(sorted(counts.items())) for task, counts in labels.items()}
    groups = len({example.group for example in examples if example.group})
    return {"rows": len(examples), "groups": groups + sum(not example.group for example in examples), "labels": ordered}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
