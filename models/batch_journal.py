"""The answers of a scoring run that is under way, one file a batch, so that a killed run loses at most one batch."""

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atomic import atomic_file
from pipeline.errors import DataError

_JOB = "job.json"


@dataclass(frozen=True)
class Journal:
    """A hidden folder beside the target: job.json (what is scored, with what, since when) and a jsonl file a batch."""

    folder: Path
    now: datetime  # when the run began; due times of a resumed run still count from it

    @classmethod
    def open(cls, target: Path, key: Mapping[str, Any]) -> "Journal":
        """Go on with the run of the same key, or begin a new one in place of what is there.

        Raises DataError `write_failed` when the folder cannot be written.
        """
        folder = target.parent / f".{target.name}.scoring"
        begun = _begun(folder / _JOB, key)
        if begun is not None:
            return cls(folder, begun)
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _write(folder / _JOB, json.dumps({"key": key, "now": now.isoformat()}, ensure_ascii=False))
        except OSError as error:
            raise _failed(folder, error) from None
        return cls(folder, now)

    def has(self, first_row: int) -> bool:
        return self._file(first_row).exists()

    def keep(self, first_row: int, answers: Sequence[Mapping[str, Any]]) -> None:
        """Store the answers of the batch that begins at `first_row`. Raises DataError `write_failed`."""
        lines = "".join(json.dumps(cells) + "\n" for cells in answers)
        try:
            _write(self._file(first_row), lines)
        except OSError as error:
            raise _failed(self.folder, error) from None

    def answers(self, first_row: int) -> list[dict[str, Any]]:
        """The stored answers of a batch; none where it was never stored."""
        try:
            lines = self._file(first_row).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, first_row: int) -> Path:
        return self.folder / f"{first_row:012d}.jsonl"


def encode_cells(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Cells as JSON: a time and an array are marked, everything else is JSON already."""
    return {name: _encode(cell) for name, cell in cells.items()}


def decode_cells(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `encode_cells`."""
    return {name: _decode(cell) for name, cell in cells.items()}


def file_digest(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _encode(cell: Any) -> Any:
    if isinstance(cell, datetime):
        return {"$time": cell.isoformat()}
    if isinstance(cell, np.ndarray):
        return {"$float16": base64.b64encode(cell.astype("<f2").tobytes()).decode("ascii")}
    return cell


def _decode(cell: Any) -> Any:
    if isinstance(cell, dict) and "$time" in cell:
        return datetime.fromisoformat(cell["$time"])
    if isinstance(cell, dict) and "$float16" in cell:
        return np.frombuffer(base64.b64decode(cell["$float16"]), dtype="<f2")
    return cell


def _begun(job: Path, key: Mapping[str, Any]) -> datetime | None:
    """When the run of this key began, or None where there is none to go on with."""
    try:
        found = json.loads(job.read_bytes())
        return datetime.fromisoformat(found["now"]) if found["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _failed(folder: Path, error: OSError) -> DataError:
    message = f"{folder} cannot be written ({error.strerror or error}); free space or choose another place with -o"
    return DataError("write_failed", message)
