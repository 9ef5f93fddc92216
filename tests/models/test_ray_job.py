"""models/ray_job.py: what is kept of a scoring under way, and when its parts are whole."""

from pathlib import Path

import pytest

from models.ray_input import Source
from models.ray_job import MOST_TRIES, Job, Report, check_whole, count_try, finish, open_job, part_name
from pipeline.errors import DataError, UsageError

KEY = {"model": "a"}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "in.csv", "in")


def keep(job: Job, source: Source, first_row: int, rows: int, *, last: bool = False) -> Report:
    """A slice that is done."""
    report = Report(0, first_row, rows, last, part_name(source, first_row, ".csv"))
    (job.parts / report.part).write_text("id\n1\n", encoding="utf-8")
    report.write(job.folder)
    return report


def test_the_same_key_goes_on_and_another_begins_anew(tmp_path: Path, source: Source) -> None:
    target = tmp_path / "out"
    with open_job(target, KEY, slice_rows=10) as job:
        report = keep(job, source, 1, 10)
    with open_job(target, KEY, slice_rows=99) as again:
        assert (again.now, again.slice_rows, again.reports()) == (job.now, 10, [report])
    with open_job(target, {"model": "b"}, slice_rows=99) as other:
        assert (other.slice_rows, other.reports(), list(other.parts.iterdir())) == (99, [], [])


def test_nothing_stays_of_a_job_that_did_nothing(tmp_path: Path) -> None:
    with open_job(tmp_path / "out", KEY, slice_rows=10) as job:
        assert job.parts.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_target_is_scored_by_one_run_at_a_time(tmp_path: Path) -> None:
    with open_job(tmp_path / "out", KEY, slice_rows=10), pytest.raises(UsageError) as caught:  # noqa: SIM117
        with open_job(tmp_path / "out", KEY, slice_rows=10):
            pass
    assert caught.value.code == "job_running"
    assert caught.value.message == f"{tmp_path / 'out'} is being scored by another run; wait for it to end"


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ([(1, 10, False), (11, 5, True)], None),
        ([(11, 5, True)], 1),
        ([(1, 10, False), (12, 5, True)], 11),
        ([(1, 10, False)], 11),
        ([], 1),
    ],
)
def test_only_all_rows_of_a_source_are_whole(
    tmp_path: Path, source: Source, slices: list[tuple[int, int, bool]], expected: int | None
) -> None:
    with open_job(tmp_path / "out", KEY, slice_rows=10) as job:
        reports = [keep(job, source, first, rows, last=last) for first, rows, last in slices]
        if expected is None:
            check_whole(job, reports, [source])
            (job.parts / reports[0].part).unlink()
            expected = 1
        with pytest.raises(DataError) as caught:
            check_whole(job, reports, [source])
    assert caught.value.code == "parts_missing"
    assert f"expected its rows from {expected} on in {job.parts}" in caught.value.message


def test_what_a_killed_process_left_does_not_come_along(tmp_path: Path, source: Source) -> None:
    target = tmp_path / "out"
    with open_job(target, KEY, slice_rows=10) as job:
        report = keep(job, source, 1, 10, last=True)
        (job.parts / f".{report.part}.x.part").touch()
        (job.parts / "in-000000099.csv").touch()
        finish(job, target, [report], sources=[source], merge=False)
    assert [path.name for path in target.iterdir()] == [report.part]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_csv_parts_become_one_file_with_one_header(tmp_path: Path, source: Source) -> None:
    target = tmp_path / "out.csv"
    with open_job(target, KEY, slice_rows=10) as job:
        reports = [keep(job, source, first, 1, last=first == 2) for first in (1, 2)]
        for i, report in enumerate(reports):
            content = f'"na\r\nme",text\r\n{i},"a\r\nb"\r\n'
            (job.parts / report.part).write_bytes(content.encode())
        finish(job, target, reports, sources=[source], merge=True)
    assert target.read_bytes() == b'"na\r\nme",text\r\n0,"a\r\nb"\r\n1,"a\r\nb"\r\n'


def test_a_slice_that_kills_its_process_is_given_up(tmp_path: Path, source: Source) -> None:
    for _ in range(MOST_TRIES):
        count_try(tmp_path, source, 0, 7)
    count_try(tmp_path, source, 0, 8)
    with pytest.raises(DataError) as caught:
        count_try(tmp_path, source, 0, 7)
    assert caught.value.code == "slice_fails"
    assert caught.value.message == (
        f"{source.path}: the rows from 7 on ended the process that scored them {MOST_TRIES} times; give its machine "
        "more memory, or take these rows out"
    )
