"""From a file's columns to feedback and labelled examples.

Labels come as keys or 中文 names. Any task may be missing in a file or in a row: that means unlabelled.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import MAXYEAR, MINYEAR, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, TextError, UsageError
from pipeline.feedback import Example, Feedback, Gold
from pipeline.gold import LabelMistake, parse_gold
from pipeline.readers import RowFile, open_file
from pipeline.rows import BAD_ROW, ReadLimits, Row
from pipeline.schema import LabelSchema

_SHOWN = 20
_TIME_FORMATS = ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日")


NAME_COLUMNS = "a column that is not named like its task is given with --label-column TASK=COLUMN"
"""Advice at the end of messages about files in which no label was found."""


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Which column holds what. `labels`: task -> column, where the column is not named like the task."""

    text: str = "text"
    id: str = "id"
    channel: str = "channel"
    created_at: str = "created_at"
    customer_ref: str = "customer_ref"
    source: str = "source"
    group: str = "group"
    labels: Mapping[str, str] = field(default_factory=dict)

    def named(self) -> dict[str, str]:
        """The columns beside text and labels that are not called as they usually are: purpose -> column."""
        usual = ColumnMap()
        purposes = ("id", "channel", "created_at", "customer_ref", "source", "group")
        return {name: getattr(self, name) for name in purposes if getattr(self, name) != getattr(usual, name)}

    def label_column(self, task: str) -> str:
        return self.labels.get(task, task)


def column_map(text: str = "text", labels: Sequence[str] | None = None, *, group: str = "group") -> ColumnMap:
    """From `--text-column`, `--group-column` and the pairs of `--label-column TASK=COLUMN`.

    Raises UsageError `label_column_invalid`.
    """
    pairs = {}
    for pair in labels or ():
        task, _, column = pair.partition("=")
        if not task or not column:
            message = f"--label-column is TASK=COLUMN, such as sentiment=情感; found {pair!r}"
            raise UsageError("label_column_invalid", message)
        pairs[task] = column
    return ColumnMap(text=text, group=group, labels=pairs)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that is no example, or a label in it that the schema does not know. Never holds the text."""

    row: int
    message: str
    task: str | None = None


def read_examples(
    file: Path | RowFile, schema: LabelSchema, *, columns: ColumnMap | None = None, limits: ReadLimits | None = None
) -> list[Example]:
    """All labelled (or partly, or not at all labelled) rows of a file.

    Raises DataError `labels_unknown` or `rows_invalid` with every mistake counted and the first 20 told,
    `column_missing`, and what `open_file` raises.
    """
    examples: list[Example] = []
    problems: list[RowProblem] = []
    for _, found in scan_examples(file, schema, columns=columns, limits=limits):
        if isinstance(found, Example):
            examples.append(found)
        else:
            problems.extend(found)
    if problems:
        raise _problems_error(file.path if isinstance(file, RowFile) else file, schema, problems)
    return examples


def scan_examples(
    file: Path | RowFile, schema: LabelSchema, *, columns: ColumnMap | None = None, limits: ReadLimits | None = None
) -> Iterator[tuple[int, Example | list[RowProblem]]]:
    """Yield (row number, example or what is wrong with the row).

    Raises SchemaError `unknown_task`, DataError `column_missing` and what `open_file` raises.
    """
    columns = columns or ColumnMap()
    opened = open_file(file, limits=limits)
    require_columns(opened, columns, schema=schema)
    columns = replace(columns, labels={task.name: columns.label_column(task.name) for task in schema.tasks})
    for batch in opened.batches():
        for number, row in enumerate(batch.rows, batch.first_row):
            yield number, _example(row, number, schema=schema, columns=columns)


def require_columns(file: RowFile, columns: ColumnMap, *, schema: LabelSchema | None = None) -> None:
    """Raise DataError `column_missing` unless the text column and every column named on purpose are there."""
    path, found = file.path, file.column_names
    shown = ", ".join(found[:30]) or "none, for it is empty"
    if not file.has_column(columns.text):
        message = f"{path} has no column {columns.text!r}; its columns are: {shown}; name the text's with --text-column"
        raise DataError("column_missing", message)
    if schema is not None:
        for task in columns.labels:
            schema.task(task)
    for purpose, column in {**columns.named(), **columns.labels}.items():
        if not file.has_column(column):
            message = f"{path} has no column {column!r} for {purpose}; its columns are: {shown}"
            raise DataError("column_missing", message)


def to_feedback(row: Row, columns: ColumnMap) -> Feedback:
    """A row as feedback; columns that play no part become metadata.

    Raises TextError `not_text` where the text is missing or no text; a number alone counts as text, because a
    spreadsheet turns the comment 666 into one.
    """
    used = {columns.text, columns.id, columns.channel, columns.created_at, columns.customer_ref}
    used |= {columns.source, columns.group, *columns.labels.values(), BAD_ROW}
    return Feedback(
        text=text_of(row.get(columns.text)),
        id=_word(row.get(columns.id)) or "",
        channel=_word(row.get(columns.channel)),
        created_at=parse_time(row.get(columns.created_at)),
        customer_ref=_word(row.get(columns.customer_ref)),
        metadata={name: value for name, value in row.items() if name not in used and value is not None},
    )


def text_of(cell: Any) -> str:
    """The comment in a cell. Raises TextError `not_text`."""
    if isinstance(cell, str):
        return cell
    word = _word(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None
    if word is None:
        raise TextError("not_text", "expected text, found none; put the comment into the text column as a string")
    return word


def parse_time(cell: Any) -> datetime | None:
    """A time from ISO 8601 or Chinese usual forms; None where there is none or it is not understood.

    A time without a zone stays without one: what it means is for the routing policy to say.
    """
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)
    found = cell if isinstance(cell, datetime) else _parsed(cell.strip()) if isinstance(cell, str) else None
    # In the first and last year a change of zone leads out of the calendar.
    return found if found is not None and MINYEAR < found.year < MAXYEAR else None


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _TIME_FORMATS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def _example(row: Row, number: int, *, schema: LabelSchema, columns: ColumnMap) -> Example | list[RowProblem]:
    if BAD_ROW in row:
        return [RowProblem(number, str(row[BAD_ROW]))]
    try:
        feedback = to_feedback(row, columns)
    except TextError as error:
        return [RowProblem(number, error.message)]
    if not feedback.text.strip():
        return [RowProblem(number, "the text is empty")]
    labels: dict[str, Gold] = {}
    problems: list[RowProblem] = []
    for task in schema.tasks:
        try:
            gold = parse_gold(row.get(columns.label_column(task.name)), task)
        except LabelMistake as error:
            problems.append(RowProblem(number, str(error), task.name))
            continue
        if gold is not None:
            labels[task.name] = gold
    if problems:
        return problems
    return Example(
        feedback=feedback,
        labels=labels,
        source=_word(row.get(columns.source)) or "",
        group=_word(row.get(columns.group)) or "",
    )


def _word(cell: Any) -> str | None:
    """An identifier-like cell as text: 12, 12.0 (as a table with gaps stores it) and "12" are the same."""
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell if isinstance(cell, str) else str(cell)


def _problems_error(path: Path, schema: LabelSchema, problems: list[RowProblem]) -> DataError:
    code = "labels_unknown" if any(problem.task for problem in problems) else "rows_invalid"
    shown = "; ".join(f"row {problem.row:,}: {problem.message}" for problem in islice(problems, _SHOWN))
    more = f"; and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
    what = f"with labels outside of schema {schema.name!r}" if code == "labels_unknown" else "that cannot be used"
    count = len({problem.row for problem in problems})
    tasks = [task for task in schema.tasks if any(problem.task == task.name for problem in problems)]
    known = "".join(f" Labels of {task.name}: {_listed(task.keys)}." for task in tasks)
    rows = "1 row" if count == 1 else f"{count:,} rows"
    return DataError(code, f"{path} has {rows} {what}: {shown}{more}. Correct them, or take them out.{known}")


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys[:12]) + (", …" if len(keys) > 12 else "")
