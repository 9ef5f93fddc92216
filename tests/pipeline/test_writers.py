import csv
import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from pipeline.parquet_output import ParquetSink
from pipeline.writers import Column, open_writer

COLUMNS = [
    Column("id"),
    Column("text", "text"),
    Column("sentiment_probability", "number"),
    Column("truncated", "flag"),
    Column("due_at", "time"),
    Column("aspects", "aspects"),
    Column("tags", "labels"),
]
ROW: dict[str, Any] = {
    "id": 1,
    "text": '=HYPERLINK("x")，快递慢',
    "sentiment_probability": 0.75,
    "truncated": False,
    "due_at": datetime(2024, 5, 1, 9, 0, tzinfo=UTC),
    "aspects": {"logistics": -1, "product": 1},
    "tags": ["催单", "破损"],
}


def write(path: Path, rows: list[dict[str, Any]], columns: list[Column] = COLUMNS) -> Path:
    with open_writer(path, columns=columns) as writer:
        for row in rows:
            writer.write([row])
    return path


def test_csv_cells_are_for_a_spreadsheet(tmp_path: Path) -> None:
    path = write(tmp_path / "out.csv", [ROW, {"id": 2}])
    with path.open(encoding="utf-8", newline="") as file:
        header, first, second = csv.reader(file)
    assert header == [column.name for column in COLUMNS]
    assert first == [
        "1", "'=HYPERLINK(\"x\")，快递慢", "0.75", "false", "2024-05-01T09:00:00+00:00",
        "logistics:-1;product:+1", "催单;破损",
    ]  # fmt: skip
    assert second == ["2", "", "", "", "", "", ""]


def test_a_lone_carriage_return_stays_inside_its_cell(tmp_path: Path) -> None:
    path = write(tmp_path / "out.csv", [{"text": "上\r下"}], [Column("text", "text"), Column("id")])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["text", "id"], ["上\r下", ""]]


def test_names_of_columns_are_guarded_too(tmp_path: Path) -> None:
    path = write(tmp_path / "out.csv", [{"=cmd()": "x"}], [Column("=cmd()")])
    assert path.read_text(encoding="utf-8") == "'=cmd()\nx\n"


def test_jsonl_is_lossless_and_keeps_keys_beyond_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "out.jsonl", [ROW | {"late": {"k": None}}, {"text": "坏\ud800", "big": 2**70}])
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert first == {**ROW, "due_at": "2024-05-01T09:00:00+00:00", "late": {"k": None}}
    assert second == {
        "text": "坏\ufffd", "sentiment_probability": None, "truncated": None, "due_at": None, "aspects": None,
        "tags": None, "big": str(2**70),
    }  # fmt: skip


def test_parquet_columns_have_the_types_of_their_kinds(tmp_path: Path) -> None:
    columns = [*COLUMNS, Column("embedding", "embedding")]
    path = write(tmp_path / "out.parquet", [{**ROW, "embedding": [0.5, -1.0]}, {"text": None}], columns)
    table = pq.read_table(path)
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == {
        "id": pa.int64(),
        "text": pa.string(),
        "sentiment_probability": pa.float64(),
        "truncated": pa.bool_(),
        "due_at": pa.timestamp("us", "UTC"),
        "aspects": pa.map_(pa.string(), pa.int8()),
        "tags": pa.list_(pa.string()),
        "embedding": pa.list_(pa.float16(), 2),
    }
    assert table.column("text").to_pylist() == [ROW["text"], None]
    first, second = table.column("embedding").to_pylist()
    assert first == [0.5, -1.0]
    assert all(math.isnan(value) for value in second)  # this row has none
    assert table.column("aspects").to_pylist() == [[("logistics", -1), ("product", 1)], None]


def test_parquet_columns_widen_when_later_rows_need_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.parquet_output._GROUP_ROWS", 1)
    rows = [{"n": None, "f": 1, "s": 1}, {"n": 3, "f": 0.5, "s": "二"}, {"n": None, "f": None, "s": [3]}]
    path = write(tmp_path / "out.parquet", rows, [Column("n"), Column("f"), Column("s")])
    table = pq.read_table(path)
    assert table.to_pylist() == [
        {"n": None, "f": 1.0, "s": "1"},
        {"n": 3, "f": 0.5, "s": "二"},
        {"n": None, "f": None, "s": "[3]"},
    ]
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string()]
    assert [file.name for file in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.parametrize("group_rows", [1, 1000])
@pytest.mark.parametrize(
    ("cells", "written"),
    [
        ([{}, None], ["{}", None]),
        ([[{}], []], ["[{}]", "[]"]),
        ([2**53 + 1, 0.5], ["9007199254740993", "0.5"]),
        ([0.5, 2**53 + 1], ["0.5", "9007199254740993"]),
        ([{"k": "\ud800"}, 1], ['{"k": "\ufffd"}', "1"]),
    ],
)
def test_parquet_takes_as_text_what_has_no_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_rows: int, cells: list[Any], written: list[Any]
) -> None:
    monkeypatch.setattr("pipeline.parquet_output._GROUP_ROWS", group_rows)
    path = write(tmp_path / "out.parquet", [{"c": cell, "n": 1} for cell in cells], [Column("c"), Column("n")])
    table = pq.read_table(path)
    assert table.column("c").to_pylist() == written
    assert table.schema.types == [pa.string(), pa.int64()]


def test_objects_of_a_thousand_fields_are_text_in_parquet(tmp_path: Path) -> None:
    rows = [{"m": [{f"key{i}": i}]} for i in range(1000)]
    table = pq.read_table(write(tmp_path / "out.parquet", rows, [Column("m")]))
    assert table.schema.types == [pa.string()]
    assert table.column("m")[7].as_py() == '[{"key7": 7}]'


def test_parquet_groups_are_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.parquet_output._GROUP_BYTES", 4 * 3000)
    rows = [{"text": "字" * 1000, "id": i} for i in range(10)]
    with open_writer(tmp_path / "out.parquet", columns=[Column("text", "text"), Column("id")]) as writer:
        writer.write(rows)
    with pq.ParquetFile(tmp_path / "out.parquet") as file:
        assert file.num_row_groups == 4
        assert file.read().to_pylist() == rows


def test_what_parquet_refuses_is_told_without_the_cell(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        write(tmp_path / "out.parquet", [{"n": "快递慢"}], [Column("n", "number")])
    assert (caught.value.code, caught.value.message) == (
        "write_failed",
        "parquet cannot hold these rows (ArrowInvalid); name a .jsonl or .csv file to write to",
    )
    assert not list(tmp_path.iterdir())


def test_embeddings_may_begin_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.parquet_output._GROUP_ROWS", 1)
    rows = [{"embedding": None}, {"embedding": [0.5, 2.0]}, {"embedding": None}]
    path = write(tmp_path / "out.parquet", rows, [Column("embedding", "embedding")])
    found = pq.read_table(path).column("embedding").to_pylist()
    assert found[1] == [0.5, 2.0]
    assert all(math.isnan(value) for value in (*found[0], *found[2]))


def test_parquet_without_rows_still_has_its_columns(tmp_path: Path) -> None:
    assert pq.read_table(write(tmp_path / "out.parquet", [])).schema.names == [column.name for column in COLUMNS]


def test_xlsx_holds_no_formula_and_no_character_that_xml_refuses(tmp_path: Path) -> None:
    rows = [ROW, {"text": "\x0b响\x00铃"}, {"text": "长" * 40_000, "id": 622848001234567890}]
    path = write(tmp_path / "out.xlsx", rows)
    sheet = openpyxl.load_workbook(path).active
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert sheet["B2"].value == '\'=HYPERLINK("x")，快递慢'
    assert sheet["B3"].value == "\ufffd响\ufffd铃"
    assert len(sheet["B4"].value) == 32_767
    assert sheet["B4"].value.endswith("…[cut: a cell of a workbook holds 32,767 characters]")
    assert sheet["A4"].value == "622848001234567890"


def test_xlsx_refuses_more_rows_than_a_sheet_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.xlsx_output._MAX_ROWS", 2)
    with pytest.raises(DataError) as caught:
        write(tmp_path / "out.xlsx", [{"id": 1}, {"id": 2}], [Column("id")])
    assert caught.value.message == ("a workbook holds at most 1 rows and there are more; name a .csv or .parquet file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet", "xlsx"])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out.{extension}"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="stop"), open_writer(path, columns=COLUMNS) as writer:
        writer.write([ROW])
        raise RuntimeError("stop")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


FILL = """
import resource, signal, sys
from pathlib import Path
from pipeline.errors import DataError
from pipeline.writers import Column, open_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
import random
letters = random.Random(1)
rows = [{"text": "".join(chr(letters.randrange(0x4e00, 0x9fff)) for _ in range(50))} for _ in range(2_000)]
try:
    with open_writer(Path(sys.argv[1]), columns=[Column("text", "text")]) as writer:
        writer.write(rows)
except DataError as error:
    print(error.code, error.message)
"""


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out.{extension}"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"write_failed {path} cannot be written ("), done.stderr[-1500:]
    assert done.stdout.endswith("); free some space or name another place\n")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.mkdir()
    with pytest.raises(DataError) as caught:
        write(path, [ROW])
    assert caught.value.message == f"{path} cannot be written (Is a directory); free some space or name another place"


def test_unknown_extension_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_writer(tmp_path / "out.pkl", columns=COLUMNS)
    assert caught.value.code == "format_unknown"


def test_sink_of_parquet_can_be_abandoned_unused(tmp_path: Path) -> None:
    ParquetSink(tmp_path / "unused.parquet", COLUMNS).abandon()
    assert not list(tmp_path.iterdir())


def test_notes_and_flags_in_a_workbook_and_in_csv(tmp_path: Path) -> None:
    columns = [Column("flags", "notes"), Column("tags", "labels"), Column("truncated", "flag"), Column("n")]
    rows: list[dict[str, Any]] = [
        {"flags": [], "tags": [], "truncated": False, "n": 1},
        {"flags": ["a", "b"], "tags": ["a"], "truncated": np.True_, "n": np.int64(2)},
    ]
    sheet = openpyxl.load_workbook(write(tmp_path / "out.xlsx", rows, columns)).active
    assert [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)] == [
        [None, "[]", False, 1],
        ["a;b", "a", True, 2],
    ]
    text = write(tmp_path / "out.csv", rows, columns).read_text(encoding="utf-8")
    assert text.splitlines()[1:] == [",[],false,1", "a;b,a,true,2"]
    found = pq.read_table(write(tmp_path / "out.parquet", rows, columns))
    assert found["flags"].to_pylist() == [[], ["a", "b"]]
