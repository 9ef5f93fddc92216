"""What every `fankui insights` command starts with: files read into a table, embeddings computed where they lack."""

import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from pipeline.columns import ColumnMap
from pipeline.cores import usable_cores
from pipeline.errors import TextError, UsageError
from pipeline.insights.read_table import ReadOptions, ReadReport, read_table
from pipeline.insights.selection import parse_filters, selected
from pipeline.insights.table import FeedbackTable
from pipeline.insights.terms import Terms, read_terms
from pipeline.prepare import prepare
from pipeline.readers import open_file
from pipeline.row_bar import row_bar
from pipeline.schema import load_schema

_CHUNK = 2048  # texts embedded at once


@dataclass(frozen=True, slots=True)
class Source:
    """What to read and how, as the command line says it."""

    files: Sequence[Path]
    text_column: str = "text"
    id_column: str = "id"
    created_at_column: str = "created_at"
    schema: Path | None = None
    timezone: str = "Asia/Shanghai"
    prefix: str = ""
    attributes: Sequence[str] | None = None
    filters: Sequence[str] = ()
    quiet: bool = False  # no progress


@dataclass(frozen=True, eq=False)
class Opened:
    """A table and how it came about."""

    table: FeedbackTable
    report: ReadReport
    seconds: dict[str, float]  # step -> how long it took

    def notes(self) -> list[str]:
        """What the user should know of the rows, and of the time that embeddings took."""
        found = self.report.notes(self.table.timezone)
        if "embeddings" in self.seconds:
            found.append(
                f"embeddings computed in {self.seconds['embeddings']:.1f} s; "
                "`fankui score --embeddings` writes them once for all"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        seconds = {name: round(value, 2) for name, value in self.seconds.items()}
        return {"rows": self.report.to_dict(), "timezone": self.table.timezone.key, "seconds": seconds}

    def read_terms(self, *, quiet: bool = False) -> Terms:
        """The terms of all texts."""
        started = time.perf_counter()
        with _bar("words", len(self.table), quiet) as advance:
            found = read_terms(self.table.texts, processes=usable_cores(), progress=advance)
        self.seconds["terms"] = time.perf_counter() - started
        return found


def open_table(source: Source) -> Opened:
    """Raises UsageError `timezone_unknown`, `filter_unknown`; DataError as `read_table` does."""
    started = time.perf_counter()
    options = ReadOptions(
        schema=load_schema(source.schema),
        timezone=_zone(source.timezone),
        columns=ColumnMap(text=source.text_column, id=source.id_column, created_at=source.created_at_column),
        prefix=source.prefix,
        attributes=tuple(source.attributes) if source.attributes else None,
    )
    opened = [open_file(path) for path in source.files]
    with row_bar(opened, "reading", shown=not source.quiet) as advance:
        table, report = read_table(opened, options, progress=advance)
    if source.filters:
        rows = selected(table, parse_filters(source.filters))
        if not rows.any():
            raise UsageError("nothing_selected", f"no comment passes {' '.join(source.filters)}; loosen the filter")
        table = table.take(rows)
    return Opened(table, report, {"reading": time.perf_counter() - started})


def read_answers(source: Source, column: str, ids: Collection[str]) -> dict[str, str]:
    """Id -> what was answered, masked, of those of the ids whose rows tell it. Rows without an id count from 1."""
    found: dict[str, str] = {}
    number = 0
    for path in source.files:
        for batch in open_file(path).batches(columns=(source.id_column, column)):
            for row in batch.rows:
                number += 1
                cell = row.get(source.id_column)
                identity = str(number) if cell in (None, "") else str(cell)
                if identity in ids and row.get(column):
                    with suppress(TextError):
                        found[identity] = prepare(str(row[column])).text
    return found


def with_embeddings(opened: Opened, model: str | None, *, quiet: bool = False) -> Opened:
    """As it is where all rows have one; else those that lack one get it from a model, whose time is told apart."""
    table = opened.table
    lacking = (
        np.arange(len(table))
        if table.embeddings is None
        else np.flatnonzero(~np.isfinite(table.embeddings).all(axis=1))
    )
    if not len(lacking):
        return opened
    from models.loading import load_predictor
    from models.resolving import resolve_model

    started = time.perf_counter()
    predictor = load_predictor(resolve_model(model))
    parts = []
    with _bar("embedding", len(lacking), quiet) as advance:
        for begin in range(0, len(lacking), _CHUNK):
            found = predictor.embeddings([table.texts[i] for i in lacking[begin : begin + _CHUNK]])
            if found is None:
                return opened  # a linear model has none: words alone tell
            parts.append(found.astype(np.float32))
            advance(min(begin + _CHUNK, len(lacking)))
    computed = np.concatenate(parts)
    if table.embeddings is not None and table.embeddings.shape[1] != computed.shape[1]:
        raise UsageError(
            "embeddings_differ",
            f"the file's embeddings have {table.embeddings.shape[1]} numbers, those of {predictor.model_version} "
            f"{computed.shape[1]}; name the model that scored the file with --model",
        )
    whole = (
        np.empty((len(table), computed.shape[1]), np.float32) if table.embeddings is None else table.embeddings.copy()
    )
    whole[lacking] = computed
    seconds = opened.seconds | {"embeddings": time.perf_counter() - started}
    return Opened(replace(table, embeddings=whole), opened.report, seconds)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError("timezone_unknown", f"--timezone is a name such as Asia/Shanghai; found {name!r}") from None


def _bar(what: str, total: int, quiet: bool) -> Any:
    """As pipeline/row_bar.py, for rows that are in memory."""

    class _Counted:
        def count(self) -> int:
            return total

    return row_bar([_Counted()], what, shown=not quiet)  # type: ignore[list-item]  # it only asks for the count
