"""Files made to exhaust memory, time or patience: refused or read within bounds, each in a process of its own."""

import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from pipeline.readers import BAD_ROW, ReadLimits, column_names, read_batches

MAX_RSS_MIB = 300
MAX_SECONDS = 5  # of the processor: the wall clock depends on what else runs

READ = """
import json, sys, time
from pathlib import Path
from pipeline.errors import FeedbackError
from pipeline.readers import BAD_ROW, read_batches
start, rows, bad, outcome = time.process_time(), 0, 0, "read"
try:
    for batch in read_batches(Path(sys.argv[1])):
        rows += len(batch.rows)
        bad += sum(BAD_ROW in row for row in batch.rows)
except FeedbackError as error:
    outcome = error.code
# Not getrusage: its peak is inherited from the process that started this one.
rss = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps({"outcome": outcome, "rows": rows, "bad": bad, "rss": rss, "seconds": time.process_time() - start}))
"""


def read_apart(path: Path) -> dict[str, Any]:
    """Read a file in a fresh process; what came of it, its peak memory in MiB and its processor time."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=False, timeout=60, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["rss"] < MAX_RSS_MIB, found
    assert found["seconds"] < MAX_SECONDS, found
    return found


def rows_of(path: Path, **limits: int) -> list[dict[str, Any]]:
    return [row for batch in read_batches(path, limits=ReadLimits(**limits)) for row in batch.rows]


def refusal(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        rows_of(path)
    return caught.value


BIG = "慢" * 400_000  # 1.2 MB in UTF-8


def test_parquet_of_one_large_dictionary_entry_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "dictionary.parquet"
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array([BIG]))
    pq.write_table(pa.table({"text": text}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 5_000  # and 1.2 GB of text
    found = read_apart(path)
    assert (found["outcome"], found["rows"], found["bad"]) == ("read", 1000, 0)


def test_parquet_of_shared_prefixes_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "delta.parquet"
    encoding = {"text": "DELTA_BYTE_ARRAY"}
    pq.write_table(pa.table({"text": [BIG] * 300}), path, use_dictionary=False, column_encoding=encoding)
    found = read_apart(path)
    assert (found["outcome"], found["rows"], found["bad"]) == ("read", 300, 0)


def test_parquet_that_unpacks_a_thousandfold_is_refused_before_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"text": ["a" * 1_000_000] * 100}), path, compression="zstd", use_dictionary=False)
    found = read_apart(path)
    assert (found["outcome"], found["rows"]) == ("limit_exceeded", 0)


def test_parquet_of_nested_lists_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"text": ["好"] * 100, "tags": [[BIG[:100_000]] * 10] * 100}), path, compression="zstd")
    found = read_apart(path)
    assert (found["outcome"], found["rows"]) == ("read", 100)


def test_one_cell_of_a_gigabyte_is_refused(tmp_path: Path) -> None:
    for name in ("cell.csv", "cell.jsonl"):
        path = tmp_path / name
        with path.open("wb") as file:
            file.write(b'text\n"' if name.endswith("csv") else b'{"text": "')
            file.truncate(1 << 30)  # a sparse file: no space is used
        assert read_apart(path)["outcome"] == "limit_exceeded"


def test_csv_of_a_million_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{i}" for i in range(1_000_000)) + "\n", encoding="utf-8")
    assert read_apart(path)["outcome"] == "limit_exceeded"


def test_quote_that_never_closes_costs_one_row(tmp_path: Path) -> None:
    path = tmp_path / "quote.csv"
    path.write_text('id,text\n1,"忘了关\n' + "".join(f"{i},第{i}条\n" for i in range(2, 40_000)), encoding="utf-8")
    found = read_apart(path)
    assert (found["outcome"], found["rows"], found["bad"]) == ("read", 39_999, 1)


def test_many_open_quotes_cost_linear_time(tmp_path: Path) -> None:
    seconds = []
    for count in (4_000, 16_000):
        path = tmp_path / f"quotes{count}.csv"
        path.write_text("id,text\n" + '1,"x\n2,""\n' * count, encoding="utf-8")
        start = time.process_time()
        assert len(rows_of(path)) >= count
        seconds.append(time.process_time() - start)
    assert seconds[1] < 12 * seconds[0]  # four times the lines; quadratic would be sixteen times the time


def test_jsonl_line_nested_without_end_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "deep.jsonl"
    path.write_text("[" * 100_000 + '\n{"text": "好"}\n' + '{"a":' * 100_000 + "\n", encoding="utf-8")
    first, second, third = rows_of(path)
    assert BAD_ROW in first
    assert second == {"text": "好"}
    assert BAD_ROW in third


def test_zip_in_the_clothes_of_csv_is_told(tmp_path: Path) -> None:
    path = tmp_path / "really.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "好" * 1000)
    error = refusal(path)
    assert error.code == "unreadable"
    assert error.message == (
        f"{path} cannot be read: it is named .csv but is a ZIP archive (an xlsx?); rename, unpack or save it as csv"
    )


@pytest.mark.parametrize("name", ["a.csv.gz", "a.xls", "a.pkl", "a.zip", "a"])
def test_other_formats_are_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x1f\x8b")
    assert refusal(path).code == "format_unknown"


def test_xlsx_bombs_are_refused(tmp_path: Path) -> None:
    honest = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["text"])
    book.active.append(["好"])
    book.save(honest)
    cell = "<row r='2'><c r='A2' t='inlineStr'><is><t>{}</t></is></c></row>"
    entities = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>]>"
    for name, part, body in (
        ("huge", "xl/sharedStrings.xml", b"<sst>" + b"<si><t>a</t></si>" * 12_000_000),
        ("giant", "xl/worksheets/sheet1.xml", cell.format("x" * 5_000_000).encode()),
        ("laughs", "xl/worksheets/sheet1.xml", (entities + cell.format("&a;")).encode()),
    ):
        path = tmp_path / f"{name}.xlsx"
        _rewrite(honest, path, part=part, body=body)
        found = read_apart(path)
        assert found["outcome"] == ("unreadable" if name == "laughs" else "limit_exceeded"), name


def test_xlsx_that_claims_a_billion_rows_or_columns_is_read_for_what_it_holds(tmp_path: Path) -> None:
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
        '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>好</t></is></c><c r="XFD2"><v>1</v></c></row>'
        '<row r="900000000"><c r="A900000000" t="inlineStr"><is><t>远</t></is></c></row></sheetData></worksheet>'
    )
    honest = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["text"])
    book.save(honest)
    path = tmp_path / "claims.xlsx"
    _rewrite(honest, path, part="xl/worksheets/sheet1.xml", body=sheet.encode())
    assert read_apart(path)["rows"] == 1


def _rewrite(source: io.BytesIO, target: Path, *, part: str, body: bytes) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != part:
                new.writestr(name, old.read(name))
        new.writestr(part, body)


@pytest.mark.parametrize("name", ["torn.parquet", "torn.xlsx"])
def test_torn_files_are_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    whole = tmp_path / f"whole{path.suffix}"
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": [f"第{i}条" for i in range(1000)]}), whole)
    else:
        book = openpyxl.Workbook()
        book.active.append(["text"])
        book.save(whole)
    raw = whole.read_bytes()
    for cut in (8, len(raw) // 2, len(raw) - 5):
        path.write_bytes(raw[:cut])
        assert refusal(path).code == "unreadable"


def test_parquet_with_flipped_bytes_never_crashes(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"text": [f"第{i}条评论" for i in range(200)], "n": list(range(200))}), whole)
    raw = bytearray(whole.read_bytes())
    path = tmp_path / "flipped.parquet"
    outcomes = set()
    for place in range(4, len(raw), max(1, len(raw) // 150)):
        flipped = bytearray(raw)
        flipped[place] ^= 0xFF
        path.write_bytes(flipped)
        try:
            rows_of(path)
            outcomes.add("read")
        except DataError as error:
            outcomes.add(error.code)
    assert outcomes <= {"read", "unreadable", "limit_exceeded"}
    assert "unreadable" in outcomes


def test_parquet_string_that_is_no_utf8_is_one_bad_row(tmp_path: Path) -> None:
    raw = pa.array([b"\xe5\xa5\xbd", b"\xff\xfe", b"\xe5\xb7\xae"], type=pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    path = tmp_path / "bytes.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "c"], "text": text}), path)
    assert rows_of(path) == [
        {"id": "a", "text": "好"},
        {"id": "b", BAD_ROW: "column 'text' holds bytes that are no valid UTF-8"},
        {"id": "c", "text": "差"},
    ]


def test_rows_beyond_the_limit_stop_the_file(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text('{"text": "好"}\n' * 11, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        rows_of(path, max_rows=10, batch_rows=4)
    assert caught.value.message == f"{path} has more than 10 rows; split it"


def test_folder_and_missing_file_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert refusal(folder).message == f"{folder} is a folder; give a csv file"
    missing = tmp_path / "none.jsonl"
    with pytest.raises(DataError) as caught:
        column_names(missing)
    assert (caught.value.code, caught.value.message) == (
        "file_missing",
        f"{missing} does not exist; give a jsonl file",
    )


@pytest.mark.parametrize("name", ["e.csv", "e.tsv", "e.parquet", "e.xlsx"])
def test_empty_files_are_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert refusal(path).code == "unreadable"
