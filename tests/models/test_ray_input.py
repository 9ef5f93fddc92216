"""models/ray_input.py: which files, which slices, and that their rows are those of the readers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models import ray_input
from models.ray_input import (
    Slice,
    Source,
    find_sources,
    from_bytes,
    read_slices,
    row_groups,
    slice_rows_of,
    to_bytes,
)
from pipeline.errors import UsageError
from pipeline.readers import read_batches
from pipeline.rows import BAD_ROW


def slices(source: Source, *, slice_rows: int = 4, done: set[int] | None = None) -> list[Slice]:
    units = row_groups(source)
    return [
        piece
        for i, (first, groups) in enumerate(units, 1)
        for piece in read_slices(
            source,
            0,
            first_row=first,
            groups=groups,
            slice_rows=slice_rows,
            done=done or set(),
            ends=i == len(units),
        )
    ]


def test_folders_files_and_patterns(tmp_path: Path) -> None:
    for name in ("in/day=1/a.csv", "in/day=2/a.csv", "in/_SUCCESS", "in/.hidden/b.csv", "c.parquet", "d.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_sources([str(tmp_path / "in"), str(tmp_path / "*.parquet"), str(tmp_path / "d.tsv")])
    assert [(source.path.relative_to(tmp_path).as_posix(), source.place) for source in found] == [
        ("in/day=1/a.csv", "day=1/a"),
        ("in/day=2/a.csv", "day=2/a"),
        ("c.parquet", "c"),
        ("d.tsv", "d"),
    ]


def test_what_is_not_taken(tmp_path: Path) -> None:
    for name in ("x/a.csv", "y/a.csv", "z/a.jsonl", "w/_a.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    cases = {
        ("nowhere.csv",): "file_missing",
        (str(tmp_path / "x"), str(tmp_path / "y")): "output_clash",
        (str(tmp_path / "z"),): "ray_format",
        (str(tmp_path / "w"),): "no_files",
    }
    for args, code in cases.items():
        with pytest.raises(UsageError) as caught:
            find_sources(args)
        assert caught.value.code == code


def test_slices_of_csv_hold_the_rows_of_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('id,text\n1,很好\n2,\n3,慢,多\n4\n5,"a\nb"\n', encoding="utf-8")
    source = Source(path, "in")
    found = slices(source, slice_rows=2)
    assert [(one.first_row, one.table.num_rows, one.last) for one in found] == [
        (1, 2, False),
        (3, 2, False),
        (5, 1, True),
    ]
    rows = [row for one in found for row in slice_rows_of(one, "csv")]
    assert rows == [row for batch in read_batches(path) for row in batch.rows]
    assert [BAD_ROW in row for row in rows] == [False, False, True, True, False]


def test_slices_of_parquet_begin_at_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_input, "_SLICE_BYTES", 1)
    path = tmp_path / "in.parquet"
    pairs = pa.array([[("a", i)] for i in range(10)], pa.map_(pa.string(), pa.int8()))
    table = pa.table({"text": [f"很好{i}" for i in range(10)], "pairs": pairs})
    pq.write_table(table, path, row_group_size=6)
    source = Source(path, "in")
    assert row_groups(source) == [(1, (0,)), (7, (1,))]
    found = slices(source)
    # Nested columns are decoded four rows at a time: no slice is smaller, but at the end of a row group.
    assert [(one.first_row, one.last) for one in found] == [(1, False), (5, False), (7, True)]
    rows = [row for one in found for row in slice_rows_of(one, "parquet")]
    assert rows == [row for batch in read_batches(path) for row in batch.rows]


def test_done_slices_are_passed_over_and_the_others_stay_the_same(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\n" + "很好\n" * 11, encoding="utf-8")
    every, rest = slices(Source(path, "in")), slices(Source(path, "in"), done={5, 9})
    assert [(one.first_row, one.last) for one in every] == [(1, False), (5, False), (9, True)]
    assert [(one.first_row, one.last) for one in rest] == [(1, False)]


def test_a_file_without_rows_is_one_empty_slice(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text\n", encoding="utf-8")
    (found,) = slices(Source(path, "in"))
    assert (found.first_row, found.last, found.table.num_rows) == (1, True, 0)
    other = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), other)
    (found,) = slices(Source(other, "in"))
    assert (found.last, found.table.column_names) == (True, ["text"])


def test_tables_travel_as_bytes() -> None:
    table = pa.table({"a": [1, None], "b": ["x", "很好"]})
    assert from_bytes(pa.py_buffer(to_bytes(table))).equals(table)
