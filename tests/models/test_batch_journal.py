"""models/batch_journal.py: answers of a run under way."""

from pathlib import Path

import numpy as np
import pytest

from models.batch_journal import Journal, forget
from models.batch_segment import Segment
from pipeline.errors import DataError

DTYPE = np.dtype([("mood", np.int16), ("due_at", np.int64), ("error", np.int32), ("flags", np.uint8)])


def segment(*moods: int, errors: tuple[str, ...] = (), evidence: list[str | None] | None = None) -> Segment:
    answers = np.zeros(len(moods), dtype=DTYPE)
    answers["mood"], answers["error"] = moods, -1
    return Segment(answers, np.arange(len(moods), dtype=np.int64), errors, evidence)


def test_answers_are_kept_by_segment(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "out.csv", {"a": 1})
    journal.keep(1, segment(3, 4, errors=("坏\u2028行",), evidence=["[]", None]))
    journal.keep(3, segment(5))
    assert (journal.has(1), journal.has(3), journal.has(4)) == (True, True, False)
    found = journal.segment(1)
    assert found is not None
    assert (found.answers["mood"].tolist(), found.started.tolist()) == ([3, 4], [0, 1])
    assert (found.errors, found.explained) == (["坏\u2028行"], ["[]", None])
    assert journal.segment(4) is None
    assert [one.answers["mood"].tolist() for one in journal.segments()] == [[3, 4], [5]]


def test_segments_end_where_one_is_missing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "out.csv", {"a": 1})
    journal.keep(1, segment(3))
    journal.keep(3, segment(5))
    assert [one.answers["mood"].tolist() for one in journal.segments()] == [[3]]


def test_a_finished_run_leaves_its_mark_until_it_is_forgotten(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    journal = Journal.open(target, {"a": 1})
    journal.keep(1, segment(3))
    assert journal.done() is None
    journal.finish({"rows": 1})
    again = Journal.open(target, {"a": 1})
    assert (again.done(), again.has(1)) == ({"rows": 1}, False)
    assert Journal.open(target, {"a": 2}).done() is None
    forget(target)
    assert list(tmp_path.iterdir()) == []


def test_the_same_key_goes_on_with_the_time_it_began(tmp_path: Path) -> None:
    first = Journal.open(tmp_path / "out.csv", {"a": 1})
    first.keep(1, segment(0))
    again = Journal.open(tmp_path / "out.csv", {"a": 1})
    assert (again.now, again.has(1)) == (first.now, True)


def test_another_key_begins_anew(tmp_path: Path) -> None:
    Journal.open(tmp_path / "out.csv", {"a": 1}).keep(1, segment(0))
    assert not Journal.open(tmp_path / "out.csv", {"a": 2}).has(1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": {"a": 1}}', '{"key": {"a": 1}, "now": "soon"}'])
def test_a_spoilt_job_begins_anew(tmp_path: Path, content: str) -> None:
    journal = Journal.open(tmp_path / "out.csv", {"a": 1})
    journal.keep(1, segment(0))
    (journal.folder / "job.json").write_text(content, encoding="utf-8")
    assert not Journal.open(tmp_path / "out.csv", {"a": 1}).has(1)


def test_it_leaves_nothing(tmp_path: Path) -> None:
    Journal.open(tmp_path / "out.csv", {}).remove()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError) as raised:
        Journal.open(tmp_path / "file" / "out.csv", {})
    assert raised.value.message == (
        f"{tmp_path / 'file' / '.out.csv.scoring'} cannot be written (Not a directory); "
        "free space or choose another place with -o"
    )
