"""Gold labels out of cells: a key or 中文 name, several of them, or aspects with their polarity."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.errors import SchemaError
from pipeline.feedback import Gold
from pipeline.schema import POLARITIES, Kind, Task

_SEPARATOR = re.compile(r"[;；|]")
_SHOWN_CHARS = 24  # a label column named by mistake may hold the comment itself
_POLARITY = {name: value for value, name in POLARITIES.items()} | {"负面": -1, "中性": 0, "正面": 1}


class LabelMistake(Exception):  # noqa: N818  (told by row, never raised to the user)
    """A cell that holds no label of its task. The message names the task and the nearest label."""


def parse_gold(cell: Any, task: Task) -> Gold | None:
    """Canonical gold label of one cell; None when it is empty, which means unlabelled.

    Aspects: `logistics:-1;product:+1`, a mapping, a JSON object as text; `{}` means that none is mentioned.
    Several labels: `a;b`, a list, a JSON array as text; `[]` means none. Raises LabelMistake.
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, str):
        cell = cell.strip()
        if not cell:
            return None
    if task.kind is Kind.ASPECT:
        return _aspects(cell, task)
    if task.kind is Kind.MULTI:
        indices = sorted({_index(name, task) for name in _names(cell, task)})
        return tuple(task.keys[i] for i in indices)
    return task.keys[_index(cell, task)]


def _names(cell: Any, task: Task) -> Iterable[Any]:
    if isinstance(cell, str):
        cell = _json(cell, task) if cell.startswith("[") else [name for name in _SEPARATOR.split(cell) if name.strip()]
    if isinstance(cell, list | tuple):
        return cell
    if isinstance(cell, Mapping):
        raise LabelMistake(f"{task.name}: expected labels such as a;b, found an object")
    return [cell]


def _aspects(cell: Any, task: Task) -> Mapping[str, int]:
    if isinstance(cell, str):
        cell = _json(cell, task) if cell.startswith("{") else dict(_pair(part, task) for part in _parts(cell))
    if isinstance(cell, list | tuple) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in cell):
        cell = dict(cell)
    if not isinstance(cell, Mapping):
        raise LabelMistake(f"{task.name}: expected aspects such as {task.keys[0]}:-1, found {_shown(cell)}")
    found = {_index(name, task): _polarity(value, task) for name, value in cell.items() if value is not None}
    return {task.keys[i]: found[i] for i in sorted(found)}


def _parts(cell: str) -> list[str]:
    return [part for part in _SEPARATOR.split(cell) if part.strip()]


def _pair(part: str, task: Task) -> tuple[str, str]:
    name, colon, value = part.replace("：", ":").rpartition(":")
    if not colon:
        raise LabelMistake(f"{task.name}: expected category:polarity such as {task.keys[0]}:-1, found {_shown(part)}")
    return name, value


def _polarity(value: Any, task: Task) -> int:
    text = str(value).strip()
    if text in _POLARITY:
        return _POLARITY[text]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if number not in POLARITIES:
        raise LabelMistake(f"{task.name}: a polarity is -1, 0 or +1, found {_shown(value)}")
    return int(number)


def _index(name: Any, task: Task) -> int:
    # 1, 1.0 (as a table with gaps stores it) and "1" name the same label.
    whole = isinstance(name, float) and name.is_integer()
    text = str(int(name) if whole else name).strip()
    try:
        return task.index(text)
    except SchemaError:
        nearest = task.nearest(text) if len(text) <= 63 else None
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        raise LabelMistake(f"{task.name} has no label {_shown(text)}{hint}") from None


def _json(cell: str, task: Task) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise LabelMistake(f"{task.name}: not valid JSON") from None


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…")
