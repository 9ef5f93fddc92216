"""The label schema: which tasks a comment is labelled for, and with which labels (data/schema.toml).

Label ids are positions in the schema file, never the order of the data and never sorted.
"""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.config_file import read_config_file, unknown_key
from pipeline.errors import SchemaError
from pipeline.resources import shipped

POLARITIES = {-1: "negative", 0: "neutral", 1: "positive"}
"""Value of an aspect label -> name of its polarity."""

_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LABEL_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_DURATION = re.compile(r"(\d{1,7})\s*(min|h|d)")
_MINUTES = {"min": 1, "h": 60, "d": 1440}
_LONGEST = 10 * 366 * 1440  # minutes; due times stay within the calendar

RESERVED = frozenset(
    {"id", "text", "satisfaction", "truncated", "flags", "queue", "due_at", "zone", "reasons", "error", "model_version"}
    | {"queue_priority", "evidence", "embedding"}
)
"""Columns of a scored file that no task may take the name of."""


class Kind(StrEnum):
    """How the labels of a task relate to each other."""

    SINGLE = "single"  # exactly one label
    ORDINAL = "ordinal"  # exactly one label, and the labels are levels, lowest first
    MULTI = "multi"  # any number of labels
    ASPECT = "aspect"  # each label is not mentioned, or mentioned with a polarity -1, 0 or +1


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a task. `key` is what programs and files use, `zh` what people read."""

    key: str
    zh: str
    definition: str = ""
    examples: tuple[str, ...] = ()
    respond_within: int | None = None  # minutes
    alert: bool = False  # counts into `<task>_score`
    satisfaction: float | None = None  # 0 (worst) to 1 (best)


@dataclass(frozen=True)
class Task:
    """One question asked of every comment."""

    name: str
    kind: Kind
    zh: str
    labels: tuple[Label, ...]
    definition: str = ""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(label.key for label in self.labels)

    @cached_property
    def _index(self) -> dict[str, int]:
        by_zh = {label.zh: i for i, label in enumerate(self.labels)}
        return by_zh | {label.key: i for i, label in enumerate(self.labels)}

    def index(self, key_or_zh: str) -> int:
        """Position of a label given by key or 中文 name; SchemaError `unknown_label` names the nearest one."""
        try:
            return self._index[key_or_zh]
        except KeyError:
            raise SchemaError("unknown_label", self._unknown(key_or_zh)) from None

    def label(self, key_or_zh: str) -> Label:
        return self.labels[self.index(key_or_zh)]

    def nearest(self, text: str) -> str | None:
        """The known key or 中文 name most like `text`, if any is alike at all."""
        found = difflib.get_close_matches(text, self._index, n=1, cutoff=0.4)
        return found[0] if found else None

    def _unknown(self, text: str) -> str:
        nearest = self.nearest(text)
        hint = f"; did you mean {nearest!r}?" if nearest else "."
        shown = ", ".join(self.keys[:12]) + (", …" if len(self.keys) > 12 else "")
        return f"task {self.name!r} has no label {text[:40]!r}{hint} Its labels are: {shown}"


@dataclass(frozen=True)
class LabelSchema:
    """All tasks, in the order of the file."""

    name: str
    version: str
    tasks: tuple[Task, ...]
    _by_name: dict[str, Task] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {task.name: task for task in self.tasks})

    def task(self, name: str) -> Task:
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(self._by_name)
            raise SchemaError("unknown_task", f"schema {self.name!r} has no task {name!r}; it has: {known}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @cached_property
    def digest(self) -> str:
        """sha256 over what a model's outputs depend on: names, kinds and label keys, in order."""
        essence = [[task.name, task.kind.value, list(task.keys)] for task in self.tasks]
        return hashlib.sha256(json.dumps(essence, ensure_ascii=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form, the inverse of `schema_from_dict`."""
        tasks = {
            task.name: {
                "kind": task.kind.value,
                "zh": task.zh,
                "definition": task.definition,
                "labels": [_plain(label) for label in task.labels],
            }
            for task in self.tasks
        }
        return {"name": self.name, "version": self.version, "tasks": tasks}


def load_schema(path: Path | None = None) -> LabelSchema:
    """Read a schema from TOML, or from JSON as a bundle holds it; without a path the shipped one.

    Raises SchemaError with the place of the mistake.
    """
    path = path or shipped("data", "schema.toml")
    parse = json.loads if path.suffix == ".json" else tomllib.loads
    advice = "give --schema FILE.toml"
    data = read_config_file(path, name="schema", code="schema", advice=advice, error=SchemaError, parse=parse)
    return schema_from_dict(data)


def schema_from_dict(data: Any) -> LabelSchema:
    """Check and build a schema from its plain form; SchemaError tells the first mistake and its place."""
    if not isinstance(data, Mapping):
        raise SchemaError("schema_invalid", f"the schema: expected a table; found {type(data).__name__}")
    _only(data, {"name", "version", "tasks"}, "the schema")
    tasks = data.get("tasks")
    if not isinstance(tasks, Mapping) or not tasks:
        raise SchemaError("schema_invalid", "a schema needs at least one table [tasks.NAME]; none was found")
    built: dict[str, Task] = {}
    for name, body in tasks.items():
        built[name] = _task(name, body, built)
    return LabelSchema(str(data.get("name", "labels")), str(data.get("version", "1")), tuple(built.values()))


def _task(name: str, body: Any, earlier: Mapping[str, Task]) -> Task:
    where = f"[tasks.{name}]"
    if not _KEY.fullmatch(name):
        raise SchemaError("schema_invalid", f"{where}: a task name is lower-case ASCII letters, digits and _")
    if name in RESERVED:
        raise SchemaError("schema_invalid", f"{where}: a scored file has a column {name!r} already; rename the task")
    if not isinstance(body, Mapping):
        raise SchemaError("schema_invalid", f"{where}: expected a table")
    _only(body, {"kind", "zh", "definition", "labels", "labels_from"}, where)
    try:
        kind = Kind(body.get("kind", ""))
    except ValueError:
        kinds = ", ".join(Kind)
        raise SchemaError("schema_invalid", f"{where}: kind is one of {kinds}; found {body.get('kind')!r}") from None
    labels = _labels(body, where, earlier)
    least = 1 if kind in (Kind.MULTI, Kind.ASPECT) else 2
    if len(labels) < least:
        raise SchemaError(
            "schema_invalid", f"{where}: a {kind} task needs at least {least} labels; found {len(labels)}"
        )
    zh = _text(body, "zh", default=name, where=where)
    return Task(name, kind, zh, labels, _text(body, "definition", default="", where=where))


def _labels(body: Mapping[str, Any], where: str, earlier: Mapping[str, Task]) -> tuple[Label, ...]:
    if "labels_from" in body:
        source = body["labels_from"]
        if not isinstance(source, str) or source not in earlier:
            raise SchemaError("schema_invalid", f"{where}: labels_from names no task above it: {source!r}")
        return earlier[source].labels
    entries = body.get("labels", [])
    if not isinstance(entries, list):
        raise SchemaError("schema_invalid", f"{where}: labels is a list of keys or of tables with a key")
    labels = tuple(_label(entry, f"{where} label {i + 1}") for i, entry in enumerate(entries))
    names = [name for label in labels for name in {label.key, label.zh}]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError("schema_invalid", f"{where}: key or 中文 name used twice: {', '.join(twice)}")
    return labels


def _label(entry: Any, where: str) -> Label:
    if isinstance(entry, str):
        entry = {"key": entry}
    if not isinstance(entry, Mapping):
        raise SchemaError("schema_invalid", f"{where}: expected a key or a table; found {type(entry).__name__}")
    _only(entry, {"key", "zh", "definition", "examples", "respond_within", "alert", "satisfaction"}, where)
    key = str(entry.get("key", ""))
    if not _LABEL_KEY.fullmatch(key):
        raise SchemaError("schema_invalid", f"{where}: key is lower-case ASCII (letters, digits, _ . -); found {key!r}")
    return Label(
        key=key,
        zh=_text(entry, "zh", default=key, where=where),
        definition=_text(entry, "definition", default="", where=where),
        examples=_examples(entry.get("examples", []), where),
        respond_within=_minutes(entry.get("respond_within"), where),
        alert=_flag(entry.get("alert", False), where),
        satisfaction=_satisfaction(entry.get("satisfaction"), where),
    )


def minutes(value: Any) -> int | None:
    """Minutes of a time such as '30 min', '4 h', '1 d' or a plain number of minutes, up to ten years; else None."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        value = int(match[1]) * _MINUTES[match[2]] if match else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= _LONGEST else None


def _minutes(value: Any, where: str) -> int | None:
    found = minutes(value)
    if found is None and value is not None:
        wanted = "respond_within is like '30 min', '4 h' or '1 d'"
        raise SchemaError("schema_invalid", f"{where}: {wanted}; found {value!r}")
    return found


def _text(body: Mapping[str, Any], key: str, *, default: str, where: str) -> str:
    found = body.get(key, default)
    if not isinstance(found, str):
        raise SchemaError("schema_invalid", f"{where}: {key} is text; found {found!r}")
    return found


def _examples(value: Any, where: str) -> tuple[str, ...]:
    # A lone text would fall apart into its characters.
    if not isinstance(value, list | tuple) or not all(isinstance(example, str) for example in value):
        raise SchemaError("schema_invalid", f"{where}: examples is a list of texts; found {value!r}")
    return tuple(value)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise SchemaError("schema_invalid", f"{where}: alert is true or false; found {value!r}")
    return value


def _satisfaction(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise SchemaError("schema_invalid", f"{where}: satisfaction is between 0 and 1; found {value!r}")
    return value


def _only(body: Mapping[str, Any], allowed: set[str], where: str) -> None:
    if wrong := unknown_key(body, allowed, where):
        raise SchemaError("schema_invalid", wrong)


def _plain(label: Label) -> dict[str, Any]:
    # `is`, not `==`: a satisfaction of 0.0 equals False and must stay.
    return {
        key: value
        for key, value in asdict(label).items()
        if value is not None and value is not False and value not in ("", ())
    }
