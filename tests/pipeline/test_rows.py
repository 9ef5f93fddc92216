from pathlib import Path

from pipeline.rows import BAD_ROW, ReadLimits, batches

PATH = Path("comments.jsonl")


def test_batches_are_bounded_by_rows_and_numbered() -> None:
    rows = [{"text": str(i)} for i in range(5)]
    found = list(batches(rows, path=PATH, limits=ReadLimits(batch_rows=2)))
    assert [(batch.first_row, len(batch.rows)) for batch in found] == [(1, 2), (3, 2), (5, 1)]
    assert [row for batch in found for row in batch.rows] == rows


def test_batches_are_bounded_by_bytes() -> None:
    rows = [{"text": "慢" * 100}] * 4  # up to 400 bytes each
    found = list(batches(rows, path=PATH, limits=ReadLimits(max_batch_bytes=900)))
    assert [len(batch.rows) for batch in found] == [2, 2]


def test_a_cell_over_the_limit_is_a_bad_row_that_keeps_the_other_cells() -> None:
    rows = [{"id": "a", "text": "慢" * 11}, {"id": "b", "text": "好", "tags": {"k": ["长" * 12]}}]
    (found,) = batches(rows, path=PATH, limits=ReadLimits(max_cell_chars=10))
    assert found.rows == [
        {"id": "a", BAD_ROW: "a cell of 11 characters in column 'text' (limit 10)"},
        {"id": "b", "text": "好", BAD_ROW: "a cell of 13 characters in column 'tags' (limit 10)"},
    ]


def test_a_cell_nested_beyond_what_json_writes_is_a_bad_row() -> None:
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    (found,) = batches([{"text": "好", "m": deep}], path=PATH, limits=ReadLimits())
    assert found.rows == [{"text": "好", BAD_ROW: "a cell nested over 64 levels deep in column 'm'"}]


def test_no_rows_give_no_batch() -> None:
    assert list(batches([], path=PATH, limits=ReadLimits())) == []
