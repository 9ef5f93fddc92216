"""Answers of consecutive rows, as arrays: how they are kept on disk, and the cells that they stand for."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from models.answer import DIGITS
from models.answer_records import (
    ANSWERED,
    EMBEDDING,
    FLAGS,
    MICROSECOND,
    NEVER_DUE,
    UNREADABLE_TIME,
    RecordLayout,
    Records,
)
from models.batch_due import DueTimes, due_times
from pipeline.errors import DataError

Form = TypeVar("Form")

EVIDENCE = "evidence"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNREADABLE_BIT = 1 << FLAGS.index(UNREADABLE_TIME)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """n rows. A text's record is the same wherever the text occurs; the rest belongs to the row."""

    answers: Records  # (n,)
    started: npt.NDArray[np.int64]  # (n,) microseconds since 1970 from which the due time runs
    errors: Sequence[str]  # what the records' field `error` points into
    explained: Sequence[str | None] | None  # (n,) JSON of `models.evidence.told`, where it was asked for

    @property
    def evidence(self) -> Sequence[str | None] | None:
        """(n,) as people read it in a spreadsheet."""
        return self._explained(lambda one: str(one["shown"]))

    @property
    def evidence_json(self) -> Sequence[str | None] | None:
        """(n,) the objects, as text."""
        return self._explained(lambda one: json.dumps(one["items"], ensure_ascii=False))

    def evidence_items(self) -> list[list[dict[str, Any]] | None] | None:
        """(n,) the objects."""
        return self._explained(lambda one: list(one["items"]))

    def _explained(self, form: Callable[[dict[str, Any]], Form]) -> list[Form | None] | None:
        if self.explained is None:
            return None
        return [None if one is None else form(json.loads(one)) for one in self.explained]

    def __len__(self) -> int:
        return len(self.answers)

    def failed(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.answers["error"] != ANSWERED)

    def as_answered(self, rows: Sequence[int]) -> Records:
        """Records of rows without an error, as their texts alone have them."""
        found = self.answers[list(rows)]
        found["flags"] &= ~np.uint8(_UNREADABLE_BIT)
        return found

    def to_bytes(self) -> bytes:
        """As arrays that numpy reads without pickle."""
        told = json.dumps({"errors": list(self.errors), "explained": self.explained}).encode()
        file = io.BytesIO()
        np.savez(file, answers=self.answers, started=self.started, told=np.frombuffer(told, dtype=np.uint8))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Segment":
        """The inverse of `to_bytes`."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            told = json.loads(arrays["told"].tobytes())
            return cls(arrays["answers"], arrays["started"], told["errors"], told["explained"])


def microseconds(time: datetime) -> int:
    """Since 1970."""
    return (time - EPOCH) // MICROSECOND


def mark_unreadable(answers: Records, rows: Sequence[int]) -> None:
    """Flag rows whose time is no time."""
    answers["flags"][list(rows)] |= _UNREADABLE_BIT


def changed(path: Path) -> DataError:
    """The source has more rows now, or fewer, than were scored."""
    return DataError("input_changed", f"{path} changed while it was scored; run the command again")


class SegmentCells:
    """From segments to the cells that `models.answer.columns` gives for the same rows, column by column."""

    def __init__(self, layout: RecordLayout, *, model_version: str, timezone: tzinfo) -> None:
        self.layout = layout
        self.model_version = model_version
        self._timezone = timezone
        self._due: dict[int, datetime] = {}
        self._words = {name: np.array(words, dtype=object) for name, words in layout.words.items()}

    def columns(self, segment: Segment) -> dict[str, list[Any]]:
        """Column name, without prefix -> n cells. Equal cells may be one object: they are for reading."""
        failed = np.flatnonzero(segment.failed())
        due = due_times(segment.answers, segment.started, self.layout)
        found: dict[str, list[Any]] = {}
        for name, kind in self.layout.kinds:
            found[name] = self._column(name, kind, segment, due)
            if name not in ("error", "model_version"):
                for i in failed:
                    found[name][i] = None
        if (items := segment.evidence_items()) is not None:
            found[EVIDENCE] = items
        if EMBEDDING in (self.layout.dtype.names or ()):
            found[EMBEDDING] = list(segment.answers[EMBEDDING])
            for i in failed:
                found[EMBEDDING][i] = None
        return found

    def _column(self, name: str, kind: str, segment: Segment, due: DueTimes) -> list[Any]:
        if name == "model_version":
            return [self.model_version] * len(segment)
        if name == "error":
            return [None if i == ANSWERED else segment.errors[i] for i in segment.answers["error"].tolist()]
        if kind == "time":
            return self._times(due.at)
        return self._plain(name, kind, due.reasons if name == "reasons" else segment.answers[name])

    def _plain(self, name: str, kind: str, values: npt.NDArray[Any]) -> list[Any]:
        if kind == "text":
            return list(self._words[name][values])
        if kind == "labels":
            return _memoized(values, lambda row: self._labels(name, row))
        if kind == "aspects":
            return _memoized(values, lambda row: self._aspects(name, row))
        if kind == "integer":
            return [value or None for value in values.tolist()]
        return list((values / 10**DIGITS if kind == "number" else values).tolist())

    def _times(self, due: npt.NDArray[np.int64]) -> list[datetime | None]:
        if len(self._due) > 100_000:
            self._due.clear()
        return [None if moment == NEVER_DUE else self._time(moment) for moment in due.tolist()]

    def _time(self, moment: int) -> datetime:
        found = self._due.get(moment)
        if found is None:
            found = self._due[moment] = (EPOCH + timedelta(microseconds=moment)).astimezone(self._timezone)
        return found

    def _labels(self, name: str, row: npt.NDArray[Any]) -> list[str]:
        return [self.layout.words[name][i] for i in np.flatnonzero(self.layout.labels(name, row[None]))]

    def _aspects(self, name: str, codes: npt.NDArray[np.int16]) -> dict[str, int]:
        words = self.layout.words[name]
        return {words[(code - 1) // 3]: (code - 1) % 3 - 1 for code in codes.tolist() if code}


def _memoized(values: npt.NDArray[Any], read: Any) -> list[Any]:
    """`read` of every row of an array, each distinct one once."""
    rows = np.ascontiguousarray(values).reshape(len(values), -1)
    keys = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel().tolist()
    known: dict[Any, Any] = {}
    for i, key in enumerate(keys):
        if key not in known:
            known[key] = read(values[i])
    return [known[key] for key in keys]
