"""What is wrong with a labelled file, before a model learns it. Findings name rows, never their text."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.columns import ColumnMap, RowProblem, scan_examples
from pipeline.duplicates import exact_groups, near_duplicate_groups
from pipeline.errors import TextError
from pipeline.feedback import Example
from pipeline.mojibake import is_common, looks_garbled
from pipeline.prepare import prepare
from pipeline.readers import ReadLimits, RowFile
from pipeline.schema import LabelSchema
from pipeline.stats import Stats, label_names, stats

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rows with (nearly) the same comment and different labels for one task."""

    task: str
    rows: tuple[int, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings. Row numbers count data rows from 1."""

    problems: tuple[RowProblem, ...]  # rows that cannot be used as they are
    duplicates: int  # rows that repeat an earlier comment
    near_duplicates: int  # rows that nearly repeat one, without the duplicates
    conflicts: tuple[Conflict, ...]
    garbled: tuple[int, ...]  # rows with mojibake
    untextual: tuple[int, ...]  # rows that `prepare` refuses: no visible character, NUL, a lone surrogate
    truncated: int  # rows longer than what a model reads
    unknown_rate: float  # share of characters outside GBK, ASCII and emoji
    unknown_characters: Mapping[str, int]  # the most frequent of them, as U+E000 -> count
    unlabelled: Mapping[str, int]  # task -> rows without a label for it
    pii: Mapping[str, int]  # kind -> finds
    stats: Stats

    @property
    def errors(self) -> int:
        """Findings that stop training; the others are for a person to weigh."""
        return len(self.problems) + len(self.untextual)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; lists of rows are cut at 50, the counts are not."""
        return {
            "errors": self.errors,
            "problems": [{"row": p.row, "task": p.task, "message": p.message} for p in self.problems[:_SHOWN]],
            "problem_count": len(self.problems),
            "duplicates": self.duplicates,
            "near_duplicates": self.near_duplicates,
            "conflicts": [
                {"task": c.task, "rows": list(c.rows), "labels": list(c.labels)} for c in self.conflicts[:_SHOWN]
            ],
            "conflict_count": len(self.conflicts),
            "garbled_rows": list(self.garbled[:_SHOWN]),
            "garbled_count": len(self.garbled),
            "untextual_rows": list(self.untextual[:_SHOWN]),
            "untextual_count": len(self.untextual),
            "truncated": self.truncated,
            "unknown_rate": self.unknown_rate,
            "unknown_characters": dict(self.unknown_characters),
            "unlabelled": dict(self.unlabelled),
            "pii": dict(self.pii),
            "stats": self.stats.to_dict(),
        }


def check_file(
    file: Path | RowFile,
    schema: LabelSchema,
    *,
    columns: ColumnMap | None = None,
    limits: ReadLimits | None = None,
    progress: Callable[[int], None] | None = None,
) -> CheckReport:
    """Read a file to its end whatever its rows hold, and report. Raises only for the file as a whole."""
    examples: list[Example] = []
    numbers: list[int] = []
    problems: list[RowProblem] = []
    for number, found in scan_examples(file, schema, columns=columns, limits=limits):
        if isinstance(found, Example):
            examples.append(found)
            numbers.append(number)
        else:
            problems.extend(found)
    return check(examples, schema, rows=numbers, problems=problems, progress=progress)


def check(
    examples: Sequence[Example],
    schema: LabelSchema,
    *,
    rows: Sequence[int] | None = None,
    problems: Sequence[RowProblem] = (),
    progress: Callable[[int], None] | None = None,
) -> CheckReport:
    """Check examples; `rows` are their numbers in the file. `progress` gets the number of examples looked at.

    Raises ConfigError `extra_missing` without datasketch.
    """
    rows = rows if rows is not None else range(1, len(examples) + 1)
    texts = [example.text for example in examples]
    exact, near = exact_groups(texts), near_duplicate_groups(texts)
    counted = stats(examples, schema)
    looked = _look(texts, rows, progress=progress)
    characters = Counter(char for text in texts for char in text)
    strange = Counter({char: count for char, count in characters.items() if not is_common(char)})
    return CheckReport(
        problems=tuple(problems),
        duplicates=len(texts) - len(set(exact)),
        near_duplicates=len(set(exact)) - len(set(near)),
        conflicts=_conflicts(examples, near, rows),
        garbled=tuple(row for row, text in zip(rows, texts, strict=True) if looks_garbled(text)),
        untextual=tuple(looked.untextual),
        truncated=looked.truncated,
        unknown_rate=round(strange.total() / max(1, characters.total()), 6),
        unknown_characters={f"U+{ord(char):04X}": count for char, count in strange.most_common(10)},
        unlabelled={task: len(texts) - count for task, count in counted.labelled.items()},
        pii=dict(looked.pii.most_common()),
        stats=counted,
    )


@dataclass(slots=True)
class _Looked:
    """What `prepare` says of the texts."""

    pii: Counter[str]
    untextual: list[int]
    truncated: int = 0


def _look(texts: Sequence[str], rows: Sequence[int], *, progress: Callable[[int], None] | None) -> _Looked:
    looked = _Looked(Counter(), [])
    for done, (row, text) in enumerate(zip(rows, texts, strict=True), 1):
        try:
            prepared = prepare(text)
        except TextError:
            looked.untextual.append(row)
        else:
            looked.pii.update(prepared.pii)
            looked.truncated += prepared.truncated
        if progress is not None and done % 200 == 0:
            progress(done)
    return looked


def _conflicts(examples: Sequence[Example], groups: Sequence[int], rows: Sequence[int]) -> tuple[Conflict, ...]:
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    found: list[Conflict] = []
    for alike in members.values():
        tasks = dict.fromkeys(task for i in alike for task in examples[i].labels)
        for task in tasks if len(alike) > 1 else ():
            given = {i: ";".join(label_names(examples[i].labels[task])) for i in alike if task in examples[i].labels}
            if len(set(given.values())) > 1:
                found.append(Conflict(task, tuple(rows[i] for i in given), tuple(given.values())))
    return tuple(found)
