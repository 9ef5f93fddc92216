"""models/batch_journal.py: answers of a run under way."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models.batch_journal import Journal, decode_cells, encode_cells
from pipeline.errors import DataError


def test_answers_are_kept_by_batch(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "out.csv", {"a": 1})
    journal.keep(1, [{"mood": "bad\u2028差"}, {"mood": None}])
    assert (journal.has(1), journal.has(3)) == (True, False)
    assert journal.answers(1) == [{"mood": "bad\u2028差"}, {"mood": None}]
    assert journal.answers(3) == []


def test_the_same_key_goes_on_with_the_time_it_began(tmp_path: Path) -> None:
    first = Journal.open(tmp_path / "out.csv", {"a": 1})
    first.keep(1, [{}])
    again = Journal.open(tmp_path / "out.csv", {"a": 1})
    assert (again.now, again.has(1)) == (first.now, True)


def test_another_key_begins_anew(tmp_path: Path) -> None:
    Journal.open(tmp_path / "out.csv", {"a": 1}).keep(1, [{}])
    assert not Journal.open(tmp_path / "out.csv", {"a": 2}).has(1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": {"a": 1}}', '{"key": {"a": 1}, "now": "soon"}'])
def test_a_spoilt_job_begins_anew(tmp_path: Path, content: str) -> None:
    journal = Journal.open(tmp_path / "out.csv", {"a": 1})
    journal.keep(1, [{}])
    (journal.folder / "job.json").write_text(content, encoding="utf-8")
    assert not Journal.open(tmp_path / "out.csv", {"a": 1}).has(1)


def test_it_leaves_nothing(tmp_path: Path) -> None:
    Journal.open(tmp_path / "out.csv", {}).remove()
    assert list(tmp_path.iterdir()) == []


def test_times_and_arrays_come_back(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "out.csv", {})
    cells = {
        "due_at": datetime(2026, 3, 1, tzinfo=UTC),
        "embedding": np.array([0.5, -2.0], dtype=np.float16),
        "aspects": {"logistics": -1},
        "flags": ["x"],
        "p": 0.25,
    }
    journal.keep(1, [encode_cells(cells)])
    (found,) = (decode_cells(row) for row in journal.answers(1))
    np.testing.assert_array_equal(found.pop("embedding"), cells.pop("embedding"))
    assert found == cells


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError) as raised:
        Journal.open(tmp_path / "file" / "out.csv", {})
    assert raised.value.message == (
        f"{tmp_path / 'file' / '.out.csv.scoring'} cannot be written (Not a directory); "
        "free space or choose another place with -o"
    )
