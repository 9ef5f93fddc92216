"""The answers of a scoring run that is under way, one file a segment: a killed run loses only what it was at."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.batch_segment import Segment
from models.write_failed import write_failed
from pipeline.atomic import atomic_file

_JOB = "job.json"
_DONE = "done.json"
_SUFFIX = ".answers"
_FORMAT = 4  # 1 had lines of JSON, 2 no reasons, 3 no priority


@dataclass(frozen=True)
class Journal:
    """A hidden folder beside the target: job.json (what is scored, with what, since when) and a file a segment.

    A segment's file is named by its first row. It never holds a comment, but with `explain` the words that its evidence
    names.
    """

    folder: Path
    now: datetime  # when the run began; due times of a resumed run still count from it

    @classmethod
    def open(cls, target: Path, key: Mapping[str, Any]) -> "Journal":
        """Go on with the run of the same key, or begin a new one in place of what is there.

        Raises DataError `write_failed` when the folder cannot be written.
        """
        folder = _folder(target)
        key = {"format": _FORMAT, **key}
        begun = _begun(folder / _JOB, key)
        if begun is not None:
            return cls(folder, begun)
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _write(folder / _JOB, json.dumps({"key": key, "now": now.isoformat()}, ensure_ascii=False).encode())
        except OSError as error:
            raise write_failed(folder, error) from None
        return cls(folder, now)

    def has(self, first_row: int) -> bool:
        return self._file(first_row).exists()

    def first_rows(self) -> set[int]:
        """Of all stored segments."""
        return {int(path.stem) for path in self.folder.glob(f"*{_SUFFIX}")}

    def keep(self, first_row: int, segment: Segment) -> None:
        """Store the answers of the rows from `first_row` on. Raises DataError `write_failed`."""
        try:
            _write(self._file(first_row), segment.to_bytes())
        except OSError as error:
            raise write_failed(self.folder, error) from None

    def segment(self, first_row: int) -> Segment | None:
        """A stored segment; None where it was never stored."""
        try:
            return Segment.from_bytes(self._file(first_row).read_bytes())
        except FileNotFoundError:
            return None

    def segments(self) -> Iterator[Segment]:
        """All stored answers, in the order of the rows, as far as none is missing."""
        first_row = 1
        while (found := self.segment(first_row)) is not None:
            yield found
            first_row += len(found)

    def done(self) -> dict[str, Any] | None:
        """What `finish` was told by an earlier run of the same key."""
        try:
            found = json.loads((self.folder / _DONE).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def finish(self, told: Mapping[str, Any]) -> None:
        """The target is written: let the answers go, and note that. Raises DataError `write_failed`."""
        try:
            _write(self.folder / _DONE, json.dumps(told).encode())
        except OSError as error:
            raise write_failed(self.folder, error) from None
        for path in self.folder.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, first_row: int) -> Path:
        return self.folder / f"{first_row:012d}{_SUFFIX}"


def forget(target: Path) -> None:
    """Remove what `Journal.finish` left."""
    shutil.rmtree(_folder(target), ignore_errors=True)


def file_digest(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(target: Path) -> Path:
    return target.parent / f".{target.name}.scoring"


def _begun(job: Path, key: Mapping[str, Any]) -> datetime | None:
    """When the run of this key began, or None where there is none to go on with."""
    try:
        found = json.loads(job.read_bytes())
        return datetime.fromisoformat(found["now"]) if found["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, content: bytes) -> None:
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
