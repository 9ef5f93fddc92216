"""What a value looks like in a file's cell: aspects, several labels, times, and the guard against formulas."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

ColumnKind: TypeAlias = Literal[
    "text", "number", "integer", "flag", "time", "aspects", "labels", "notes", "embedding", "any"
]

_FORMULA = re.compile(r"[\t\r\n]|[\s\ufeff]*[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?")


@dataclass(frozen=True, slots=True)
class Column:
    """One output column. `any` is what an input file brought along: its type is taken from the values.

    `notes` are labels of which none at all is an empty cell: there is no answer that it could be taken for.
    """

    name: str
    kind: ColumnKind = "any"


def flat(value: Any) -> Any:
    """A value as one csv or xlsx cell: text, number, or None. Empty aspects and lists stay unlike missing ones."""
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping) and value and all(isinstance(polarity, int) for polarity in value.values()):
        return format_aspects(value)
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) and ";" not in item for item in value):
        return ";".join(value)
    if isinstance(value, Mapping):
        value = dict(value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def flat_notes(value: Any) -> Any:
    """As `flat`, of a column of kind `notes`."""
    return None if isinstance(value, list | tuple) and not value else flat(value)


def format_aspects(aspects: Mapping[str, int]) -> str:
    """`logistics:-1;product:+1`; no aspect at all is `{}`, because an empty cell means unlabelled."""
    return ";".join(f"{key}:{polarity:+d}" if polarity else f"{key}:0" for key, polarity in aspects.items()) or "{}"


def guard(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run as a formula (OWASP, CSV injection).

    Full-width signs and leading white space count too: some spreadsheets fold and trim them. Plain numbers stay.
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def encodable(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD; they exist in memory but in no UTF-8 file."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
