"""From an upload to the chunks of a job: every row a comment, masked, or the reason why it is none.

Kept of a comment is what scoring needs: text, id, channel, time, and the customer's tier if rules ask for it. Whose it
is, and a file's other columns, are not.
"""

import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from pipeline.columns import ColumnMap, to_feedback
from pipeline.errors import DataError, FeedbackError, TextError, UsageError
from pipeline.feedback import Feedback
from pipeline.readers import open_file
from pipeline.rows import BAD_ROW, ReadLimits, Row
from serving.intake import Refused, read_item
from serving.json_items import json_items
from serving.problems import RequestProblem
from serving.store import redaction
from serving.store.jobs import Chunk
from serving.uploads import JSON, Upload

CHUNK_ROWS = 256
_CHUNK_CHARS = 1 << 18
_LONGEST_ID = 200
_REST_ROWS, _REST = 16, 0.005  # rows, and seconds that masking rests after as many while somebody waits for an answer
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


@dataclass(frozen=True, slots=True)
class Reading:
    """How an upload is to be read."""

    text_column: str
    sheet: str | None
    max_rows: int
    max_bytes: int  # of UTF-8 that the texts may be: a file may unpack to more than it is
    tier_field: str


def chunks(upload: Upload, reading: Reading, *, busy: Callable[[], bool]) -> Iterator[Chunk]:
    """Yield them, while `busy` slowly. Raises RequestProblem: of a file of which half can be read nothing is taken."""
    entries: list[dict[str, Any]] = []
    number, first, chars, size = 0, 1, 0, 0
    for found in _rows(upload, reading):
        if first + len(entries) > reading.max_rows:
            raise too_many_rows(reading.max_rows)
        entry = _entry(found, reading.tier_field)
        size += len(found.text.encode("utf-8", "surrogatepass")) if isinstance(found, Feedback) else 0
        if size > reading.max_bytes:
            detail = f"expected texts of at most {reading.max_bytes} bytes together; send several jobs"
            raise RequestProblem("body_too_large", detail)
        entries.append(entry)
        chars += len(entry.get("text", ""))
        if len(entries) >= CHUNK_ROWS or chars >= _CHUNK_CHARS:
            yield Chunk(number, first, len(entries), zlib.compress(orjson.dumps(entries)))
            number, first, chars, entries = number + 1, first + len(entries), 0, []
        if len(entries) % _REST_ROWS == 0 and busy():
            time.sleep(_REST)
    if entries:
        yield Chunk(number, first, len(entries), zlib.compress(orjson.dumps(entries)))
    elif not number:
        raise RequestProblem("invalid_batch", "expected one comment at least; found none")


def comments_in(chunk: Chunk) -> list[Feedback | Refused]:
    """What `chunks` put into a chunk."""
    return [_comment(entry) for entry in orjson.loads(zlib.decompress(chunk.comments))]


def results_out(chunk: Chunk, results: Sequence[Mapping[str, Any]], *, model_version: str) -> bytes:
    """The results of a chunk as they are kept: zlib, a line of JSON each."""
    lines = [
        orjson.dumps({"row": chunk.first_row + i, **result, "model_version": model_version})
        for i, result in enumerate(results)
    ]
    return zlib.compress(b"\n".join(lines) + b"\n")


def too_many_rows(limit: int) -> RequestProblem:
    """The problem of a job that is too long."""
    return RequestProblem("too_many_items", f"expected at most {limit} comments; send several jobs")


def _rows(upload: Upload, reading: Reading) -> Iterator[Feedback | Refused]:
    if upload.kind == JSON:
        yield from (read_item(value) for value in json_items(upload.path))
        return
    limits = ReadLimits(max_rows=reading.max_rows, max_batch_bytes=8 << 20, batch_rows=CHUNK_ROWS)
    columns = ColumnMap(text=reading.text_column)
    try:
        file = open_file(upload.path, limits=limits, sheet=reading.sheet)
        if not file.has_column(reading.text_column):
            # Not which columns there are: without a header the first comment would be among them.
            detail = "expected a column with the name that ?text_column gives, or `text`; found none; name the column"
            raise RequestProblem("column_missing", detail)
        for batch in file.batches():
            yield from (_read(row, columns) for row in batch.rows)
    except (DataError, UsageError) as error:
        raise _refused(error, upload.path, reading) from None


def _read(row: Row, columns: ColumnMap) -> Feedback | Refused:
    if BAD_ROW in row:
        # A name in quotes is a column's, which without a header is a comment.
        told = _QUOTED.sub("…", str(row[BAD_ROW]))
        return Refused(RequestProblem("bad_row", f"the row cannot be read: {told}"))
    try:
        return to_feedback(row, columns)
    except TextError as error:
        return Refused(error)


def _entry(found: Feedback | Refused, tier_field: str) -> dict[str, Any]:
    identity = redaction.redacted_metadata(_plain(found.id[:_LONGEST_ID]))
    if isinstance(found, Refused):
        return {"id": identity, "error": [found.error.code, found.error.message]}
    try:
        if len(found.text) > redaction.LONGEST:
            raise TextError("text_too_long", f"expected a text of at most {redaction.LONGEST} characters")
        entry = {"id": identity, "text": redaction.redacted_text(found.text)}
    except TextError as error:
        return {"id": identity, "error": [error.code, error.message]}
    if found.created_at is not None:
        entry["created_at"] = found.created_at.isoformat()
    tier = found.metadata.get(tier_field)
    for name, value in (("channel", found.channel), ("tier", tier)):
        if isinstance(value, str | int | float):
            entry[name] = redaction.redacted_metadata(_plain(str(value))[:64])
    return entry


def _comment(entry: Mapping[str, Any]) -> Feedback | Refused:
    if "error" in entry:
        return Refused(FeedbackError(*entry["error"]), entry["id"])
    written = entry.get("created_at")
    return Feedback(
        text=entry["text"],
        id=entry["id"],
        channel=entry.get("channel"),
        created_at=None if written is None else datetime.fromisoformat(written),
        metadata={},
    )


def _plain(text: str) -> str:
    """Without lone surrogates, for which JSON has no place."""
    return text.encode("utf-8", "replace").decode()


_TOLD = {
    "undecodable": ("not_utf8", "expected UTF-8 or GB18030; found other bytes; save the file as UTF-8"),
    "several_sheets": ("invalid_file", "expected rows on one sheet; found several; name one with ?sheet="),
    "sheet_missing": ("invalid_file", "expected a sheet with the name that ?sheet gives; found none"),
    "no_sheets": ("invalid_file", "?sheet is for workbooks; leave it out"),
}


def _refused(error: FeedbackError, path: Path, reading: Reading) -> RequestProblem:
    """The problem of a file, told without what stands in it."""
    if error.code == "limit_exceeded" and "rows" in error.message:
        return too_many_rows(reading.max_rows)
    if error.code in _TOLD:
        return RequestProblem(*_TOLD[error.code])
    why = _QUOTED.sub("…", error.message.replace(str(path), "the file"))
    return RequestProblem("invalid_file", f"expected a whole file of the format that Content-Type names; {why}")
