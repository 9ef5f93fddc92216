"""Where the parts of a scoring by many machines gather: a hidden folder beside the target, renamed when all are there.

    .TARGET.scoring/
      job.json      what is scored, with what, since when
      parts/        the target-to-be: one file a slice, named by the slice's first row
      done/         one report a slice, written after its part
      tries/        one byte a slice and try of this run

A part without its report is scored again, so whoever is killed leaves nothing half done that counts.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from models.job_lock import alone
from models.ray_input import Source
from models.write_failed import write_failed
from pipeline.atomic import atomic_file, write_text
from pipeline.errors import DataError
from pipeline.writers import open_writer

MOST_TRIES = 5
"""Of a slice: Ray starts an actor that dies again and again, and would do so forever for a slice that kills it."""

_JOB = "job.json"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one slice."""

    source: int
    first_row: int
    rows: int
    last: bool  # the source ends with it
    part: str  # below parts/
    failed: int = 0
    cached: int = 0  # rows that took no pass of the model
    zones: Mapping[str, int] = field(default_factory=dict)
    began: float = 0.0  # seconds since the epoch, as the scoring machine has them
    seconds: float = 0.0

    def write(self, folder: Path) -> None:
        write_text(folder / "done" / f"{self.source}-{self.first_row}.json", json.dumps(asdict(self)))


@dataclass(frozen=True)
class Job:
    """A scoring under way."""

    folder: Path
    now: datetime  # when it began: due times of a run that goes on still count from it
    slice_rows: int

    @property
    def parts(self) -> Path:
        return self.folder / "parts"

    def reports(self) -> list[Report]:
        """Of all slices that are done."""
        return [Report(**json.loads(path.read_bytes())) for path in sorted((self.folder / "done").glob("[!.]*.json"))]


@contextmanager
def open_job(target: Path, key: Mapping[str, Any], *, slice_rows: int) -> Iterator[Job]:
    """Go on with the job of the same key, or begin one in place of what is there; nobody else may meanwhile.

    Raises UsageError `job_running`, DataError `write_failed`.
    """
    folder = target.parent / f".{target.name}.scoring"
    with alone(target):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_failed(folder, error) from None
        try:
            job = _begun(folder, key) or _begin(folder, key, slice_rows)
            shutil.rmtree(folder / "tries", ignore_errors=True)
            yield job
        finally:
            if not any((folder / "done").glob("*")):  # nothing to go on from
                shutil.rmtree(folder, ignore_errors=True)


def count_try(folder: Path, source: Source, number: int, first_row: int) -> None:
    """Note that a slice is about to be scored. Raises DataError `slice_fails` where that ended too many processes."""
    note = folder / "tries" / f"{number}-{first_row}"
    note.parent.mkdir(exist_ok=True)
    with note.open("ab") as file:
        if file.tell() >= MOST_TRIES:
            raise DataError(
                "slice_fails",
                f"{source.path}: the rows from {first_row:,} on ended the process that scored them {MOST_TRIES} times; "
                "give its machine more memory, or take these rows out",
            )
        file.write(b".")


def part_name(source: Source, first_row: int, extension: str) -> str:
    """Name of a slice's part below parts/; names in order are rows in order."""
    return f"{source.place}-{first_row:09d}{extension}"


def finish(job: Job, target: Path, reports: Sequence[Report], *, sources: Sequence[Source], merge: bool) -> None:
    """Put the parts in the target's place: as a folder, or with `merge` as one file.

    Raises DataError `parts_missing` unless every row of every source is in exactly one part.
    """
    check_whole(job, reports, sources)
    for stray in job.parts.rglob(".*.part"):  # what a killed worker was writing
        stray.unlink()
    wanted = {job.parts / report.part for report in reports}
    for found in job.parts.rglob("*"):
        if found.is_file() and found not in wanted:
            found.unlink()
    try:
        if merge:
            ordered = sorted(reports, key=lambda report: (report.source, report.first_row))
            _merge([job.parts / report.part for report in ordered], target)
        else:
            if target.is_dir():
                target.rmdir()  # empty: a folder with anything in it was refused
            job.parts.rename(target)
    except OSError as error:
        raise write_failed(target, error) from None
    shutil.rmtree(job.folder, ignore_errors=True)


def check_whole(job: Job, reports: Sequence[Report], sources: Sequence[Source]) -> None:
    """Raise DataError `parts_missing` for a gap, a row in two parts, a source without end, or a part that is gone."""
    for number, source in enumerate(sources):
        mine = sorted((one for one in reports if one.source == number), key=lambda report: report.first_row)
        expected = 1
        for report in mine:
            if report.first_row != expected or not (job.parts / report.part).is_file():
                break
            expected += report.rows
        else:
            if mine and mine[-1].last:
                continue
        raise DataError(
            "parts_missing",
            f"{source.path}: expected its rows from {expected:,} on in {job.parts}, and did not find them; "
            "run the same command again, from a folder that all machines of the cluster share",
        )


def _begun(folder: Path, key: Mapping[str, Any]) -> Job | None:
    try:
        found = json.loads((folder / _JOB).read_bytes())
        if found["key"] != key:
            return None
        return Job(folder, datetime.fromisoformat(found["now"]), int(found["slice_rows"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _begin(folder: Path, key: Mapping[str, Any], slice_rows: int) -> Job:
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        shutil.rmtree(folder)
        for name in ("parts", "done"):
            (folder / name).mkdir(parents=True)
        body = {"key": key, "now": now.isoformat(), "slice_rows": slice_rows}
        write_text(folder / _JOB, json.dumps(body, ensure_ascii=False))
    except OSError as error:
        raise write_failed(folder, error) from None
    return Job(folder, now, slice_rows)


def _merge(parts: Sequence[Path], target: Path) -> None:
    """One file out of parts that have the same columns."""
    with atomic_file(target) as temporary:
        if target.suffix.lower() == ".parquet":
            with pq.ParquetWriter(temporary, pq.read_schema(parts[0]), compression="zstd") as writer:
                for part in parts:
                    writer.write_table(pq.read_table(part))
            return
        with temporary.open("wb") as file:
            head = _header_size(parts[0])
            for i, part in enumerate(parts):
                with part.open("rb") as source:
                    source.seek(head if i else 0)
                    shutil.copyfileobj(source, file)


def _header_size(part: Path) -> int:
    """Bytes of a csv part's header, which a name with a line break in it makes more than a line."""
    from pipeline.readers import column_names
    from pipeline.writers import Column

    empty = part.with_name(f".{part.name}.header{part.suffix}")
    with open_writer(empty, columns=[Column(name) for name in column_names(part)]):
        pass
    size = empty.stat().st_size
    empty.unlink()
    return size
