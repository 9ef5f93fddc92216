"""Rows into jsonl, without loss: the format to archive and to train from."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

import orjson

from pipeline.cells import Column, encodable
from pipeline.rows import Row

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class JsonlSink:
    """An open jsonl file. A row may hold keys beyond the columns; input columns that it lacks stay absent."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._always = {column.name: None for column in columns if column.kind != "any"}
        self._order = [column.name for column in columns]
        self._file = path.open("wb")

    def write(self, rows: Sequence[Row]) -> None:
        self._file.write(b"".join(self._line(row) for row in rows))

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()

    def _line(self, row: Row) -> bytes:
        known = {name: row.get(name) for name in self._order if name in row or name in self._always}
        ordered = known | {name: value for name, value in row.items() if not name.startswith("\0")}
        try:
            return orjson.dumps(ordered, default=_plain, option=_OPTIONS)
        except (TypeError, orjson.JSONEncodeError):
            # Lone surrogates, integers beyond 64 bits: rare, so the slow way only then.
            return orjson.dumps(_harmless(ordered), default=_plain, option=_OPTIONS)


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {_harmless(str(key)): _harmless(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 63:
        return str(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
