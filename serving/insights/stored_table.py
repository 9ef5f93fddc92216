"""Stored comments as the table that insights are drawn from."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.insights.read_table import ReadOptions, read_table
from pipeline.insights.table import FeedbackTable
from pipeline.readers import ReadLimits, RowFile
from pipeline.rows import Row as Cells
from pipeline.schema import LabelSchema
from serving.store import records
from serving.store.export import predicted_cells
from serving.store.records import Filters

_PAGE = 2000
_LONGEST_VALUE = 64  # characters; what is longer is no attribute
_OWN = ("id", "text", "created_at", "channel", "tier", "queue", "status", "urgency_score", "satisfaction")
_HELD = ("sentiment", "category", "urgency")


def stored_table(connection: Any, *, schema: LabelSchema, zone: ZoneInfo, since: datetime, most: int) -> FeedbackTable:
    """The newest `most` comments that came in since then, with the labels that hold; metadata are attributes.

    Raises DataError `no_rows`.
    """
    rows: list[Cells] = []
    for page in records.pages(connection, Filters(received_from=since), size=_PAGE):
        rows += [_cells(row, schema) for row in page]
        if len(rows) >= most:
            break
    file = RowFile(Path("store"), _Rows(rows[:most][::-1]), limits=ReadLimits())
    return read_table([file], ReadOptions(schema=schema, timezone=zone))[0]


class _Rows:
    """Rows in memory, as a reader has them."""

    def __init__(self, rows: list[Cells]) -> None:
        self._rows = rows

    def columns(self) -> list[str]:
        return list(dict.fromkeys((*_OWN, *(name for row in self._rows for name in row))))

    def rows(self) -> Iterable[Cells]:
        return self._rows

    def count(self) -> int:
        return len(self._rows)


def _cells(row: Any, schema: LabelSchema) -> Cells:
    prediction: Mapping[str, Any] = row.prediction
    tasks = {task.name for task in schema.tasks}
    cells: Cells = {
        name: value
        for name, value in row.metadata.items()
        if isinstance(value, str | int | float) and len(str(value)) <= _LONGEST_VALUE
    }
    cells |= {name: cell for name, cell in predicted_cells(prediction, schema).items() if name in tasks}
    # What a person corrected holds.
    cells |= {name: getattr(row, name) for name in _HELD if name in tasks and getattr(row, name) is not None}
    cells |= {name: prediction[name] for name in ("urgency_score", "satisfaction") if prediction.get(name) is not None}
    return cells | {
        "id": row.id,
        "text": row.text,
        # A clock that runs ahead at the sender must not let one comment stretch the series into the future.
        "created_at": min(row.created_at, row.received_at),
        "channel": row.channel,
        "tier": row.tier,
        "queue": row.queue,
        "status": row.status,
    }
