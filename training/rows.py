"""Labelled rows on their way to a model: read, prepared, leaks taken out, a part held out to calibrate on."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.columns import NAME_COLUMNS, ColumnMap, read_examples
from pipeline.duplicates import exact_groups, near_duplicate_groups
from pipeline.errors import DataError, TextError
from pipeline.feedback import Example
from pipeline.prepare import prepare
from pipeline.schema import LabelSchema


@dataclass(frozen=True)
class Rows:
    """Examples with their prepared texts beside them."""

    examples: tuple[Example, ...]
    texts: tuple[str, ...]
    unreadable: int = 0  # rows left out because no model could read their text

    def __len__(self) -> int:
        return len(self.examples)

    def pick(self, numbers: Iterable[int]) -> "Rows":
        """The rows with these numbers."""
        chosen = list(numbers)
        return Rows(tuple(self.examples[i] for i in chosen), tuple(self.texts[i] for i in chosen), self.unreadable)


@dataclass(frozen=True)
class Parts:
    """What one training reads. No near-duplicate of a dev or test row is in `train` or `calibration`."""

    train: Rows
    calibration: Rows
    dev: Rows
    test: Rows | None
    leaked: int  # training rows taken out


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file as it was read."""

    path: Path
    role: str  # train | dev | test
    rows: int
    sha256: str


def read_rows(path: Path, schema: LabelSchema, *, columns: ColumnMap | None = None) -> Rows:
    """All labelled rows of a file; rows without any label of the schema, and unreadable texts, are left out.

    Raises DataError `no_labels` for a file that labels nothing, and those of the readers.
    """
    found = [one for one in read_examples(path, schema, columns=columns) if one.labels]
    if not found:
        tasks = ", ".join(task.name for task in schema.tasks)
        message = f"{path}: expected a label for at least one of the tasks {tasks}; found none; {NAME_COLUMNS}"
        raise DataError("no_labels", message)
    examples: list[Example] = []
    texts: list[str] = []
    for example in found:
        try:
            texts.append(prepare(example.text).text)
        except TextError:
            continue
        examples.append(example)
    return Rows(tuple(examples), tuple(texts), len(found) - len(examples))


def part(
    files: Sequence[Rows],
    dev: Rows,
    test: Rows | None,
    *,
    calibration: float,
    seed: int,
    near_duplicates: bool = True,
) -> Parts:
    """Take training rows that dev or test hold too out, then hold a share of the groups out to calibrate on.

    Raises DataError `no_rows` where nothing is left to train on.
    """
    train = joined(files)
    held = [dev.texts, test.texts if test else ()]
    alike = near_duplicate_groups if near_duplicates else exact_groups
    groups = alike([*train.texts, *held[0], *held[1]])
    own, others = groups[: len(train)], set(groups[len(train) :])
    clean = [i for i, group in enumerate(own) if group not in others]
    kept, apart = hold_out([own[i] for i in clean], share=calibration, seed=seed)
    if not kept:
        raise DataError(
            "no_rows", f"all {len(train)} training rows are in the dev or test file too; nothing is left to train on"
        )
    return Parts(
        train=train.pick(clean[i] for i in kept),
        calibration=train.pick(clean[i] for i in apart),
        dev=dev,
        test=test,
        leaked=len(train) - len(clean),
    )


def joined(files: Sequence[Rows]) -> Rows:
    """All files' rows, one file after the other."""
    return Rows(
        tuple(example for rows in files for example in rows.examples),
        tuple(text for rows in files for text in rows.texts),
        sum(rows.unreadable for rows in files),
    )


def hold_out(groups: Sequence[int], *, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Row numbers kept and held out; whole groups, drawn by seed, until `share` of the rows is reached."""
    wanted = round(len(groups) * share)
    apart: set[int] = set()
    count = 0
    sizes = dict.fromkeys(groups, 0)
    for group in groups:
        sizes[group] += 1
    names = list(sizes)
    for i in np.random.default_rng(seed).permutation(len(names)):
        # A group larger than what is missing stays: one huge group must not swallow the training rows.
        if count + sizes[names[i]] <= wanted:
            apart.add(names[i])
            count += sizes[names[i]]
    kept = [i for i, group in enumerate(groups) if group not in apart]
    return kept, [i for i, group in enumerate(groups) if group in apart]


def input_file(path: Path, *, role: str, rows: int) -> InputFile:
    """The file with its sha256, read in blocks; of a folder, over the names and contents of its files."""
    digest = hashlib.sha256()
    for part in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not part.is_file():
            continue
        if part != path:
            digest.update(part.relative_to(path).as_posix().encode())
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return InputFile(path, role, rows, digest.hexdigest())
