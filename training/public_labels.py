"""The labels that the public sets bring along, as rows of one multi-task training (data/public_labels.toml).

Rows of the same text are joined, so that one text is read once for all that is known of it. Every text goes through
the guard of training/leakage.py.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.duplicates import text_key
from pipeline.errors import ConfigError, DataError, SchemaError, TextError
from pipeline.feedback import Example, Feedback, Gold
from pipeline.prepare import prepare
from pipeline.resources import shipped
from pipeline.schema import Kind, LabelSchema, Task, schema_from_dict
from training.leakage import LeakGuard
from training.progress import Progress
from training.public_sets import forms_of, public_sets, rows_of
from training.rows import Rows

SEPARATOR = "。"
"""Between the two texts of a pair, which are read as one."""


@dataclass(frozen=True, slots=True)
class LabelSource:
    """One column of one set that labels one task."""

    task: str
    set: str
    splits: tuple[str, ...]
    column: str
    text: tuple[str, ...] = ("text",)
    values: Mapping[str, str] = field(default_factory=dict)  # as it stands in the file -> label key


@dataclass(frozen=True, slots=True)
class PublicLabels:
    """The tasks and where their labels are."""

    schema: LabelSchema
    sources: tuple[LabelSource, ...]


@dataclass(frozen=True)
class LabeledSet:
    """Rows of all sources, and what was read of each set: rows, and how many the guard held back."""

    rows: Rows
    counts: Mapping[str, Mapping[str, int]]


def public_labels(file: Path | None = None) -> PublicLabels:
    """data/public_labels.toml, or another file of its form.

    Raises SchemaError for its tasks and ConfigError `public_labels_invalid` where a source reads an evaluation split.
    """
    body = tomllib.loads((file or shipped("data", "public_labels.toml")).read_text(encoding="utf-8"))
    sources = tuple(_source(entry) for entry in body.pop("sources"))
    schema = schema_from_dict(body)
    evaluation = {(one.name, split) for one in public_sets() for split in one.evaluation}
    for source in sources:
        schema.task(source.task)
        for split in source.splits:
            if (source.set, split) in evaluation:
                raise ConfigError("public_labels_invalid", f"{source.set}/{split} is only for measuring")
    return PublicLabels(schema, sources)


def labeled_rows(data: Path, labels: PublicLabels, *, guard: LeakGuard, progress: Progress) -> LabeledSet:
    """Every labelled public row under `data`; sets that are not there are passed over.

    Raises DataError `no_rows` where none is there, and `label_unknown` for a value that the file does not name.
    """
    found: dict[str, tuple[str, dict[str, Gold]]] = {}
    held: dict[str, bool] = {}
    counts: dict[str, Counter[str]] = {}
    present = [source for source in labels.sources if (data / "datasets" / source.set).is_dir()]
    with progress.bar("reading labels", len(present)) as advance:
        for done, source in enumerate(present):
            advance(done, note=f"{source.set} {source.column}")
            count = counts.setdefault(source.set, Counter())
            for text, forms, gold in _labeled(data, source, labels.schema.task(source.task)):
                count["rows"] += 1
                key = text_key(text)
                if key not in held:
                    held[key] = guard.match(text) is not None
                held[key] = held[key] or guard.holds(*forms)
                if held[key]:
                    count["held_back"] += 1
                    found.pop(key, None)  # of a row before that is the same, but written otherwise
                    continue
                # Of two sets that disagree the first is believed.
                found.setdefault(key, (text, {}))[1].setdefault(source.task, gold)
        advance(len(present))
    if not found:
        raise DataError("no_rows", f"{data}: expected labelled public sets under datasets/; found none")
    examples = tuple(Example(Feedback(text), golds) for text, golds in found.values())
    return LabeledSet(Rows(examples, tuple(text for text, _ in found.values())), counts)


def joined_schema(labels: LabelSchema, own: LabelSchema) -> LabelSchema:
    """The tasks of both, the public ones first; SchemaError `task_twice` where a name is in both."""
    twice = [task.name for task in own.tasks if task.name in labels]
    if twice:
        raise SchemaError("task_twice", f"task {twice[0]!r} is among the public labels too; rename one of them")
    return LabelSchema(f"{labels.name}+{own.name}", labels.version, (*labels.tasks, *own.tasks))


def _labeled(data: Path, source: LabelSource, task: Task) -> Iterator[tuple[str, tuple[str, ...], Gold]]:
    """Prepared text, raw forms and gold label; rows without a label or a readable text are left out."""
    for split in source.splits:
        for *texts, value in rows_of(data, source.set, split, (*source.text, source.column)):
            parts = [text for text in texts if isinstance(text, str)]
            if len(parts) != len(source.text) or value is None:
                continue
            gold = _gold(source, task, value)
            if gold is None:
                continue
            whole = SEPARATOR.join(parts)
            forms = (whole, *(form for part in parts for form in forms_of(source.set, part)))
            try:
                yield prepare(whole).text, forms, gold
            except TextError:
                continue


def _gold(source: LabelSource, task: Task, value: Any) -> Gold | None:
    if task.kind is Kind.MULTI:
        return tuple(dict.fromkeys(_key(source, task, one) for one in _listed(value)))
    key = _key(source, task, value)
    return key or None


def _key(source: LabelSource, task: Task, value: Any) -> str:
    text = str(value)
    if text in ("", "None", "nan"):
        return ""
    key = source.values.get(text, text)
    try:
        return task.label(key).key
    except SchemaError as error:
        raise DataError("label_unknown", f"{source.set}, column {source.column}: {error.message}") from None


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _source(entry: Mapping[str, Any]) -> LabelSource:
    return LabelSource(
        task=entry["task"],
        set=entry["set"],
        splits=tuple(entry["splits"]),
        column=entry["column"],
        text=tuple(entry.get("text", ("text",))),
        values=dict(entry.get("values", {})),
    )
