from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from pipeline.parquet_rows import ParquetSource
from pipeline.rows import BAD_ROW, ReadLimits


def written(folder: Path, table: pa.Table) -> ParquetSource:
    path = folder / "file.parquet"
    pq.write_table(table, path)
    return ParquetSource(path, ReadLimits())


def test_values_come_as_plain_python(tmp_path: Path) -> None:
    when = datetime(2024, 5, 1, 8, 30, tzinfo=UTC)
    values: dict[str, tuple[Any, pa.DataType]] = {
        "text": ("好", pa.large_string()),
        "coded": ("差", pa.dictionary(pa.int32(), pa.string())),
        "aspects": ({"logistics": -1}, pa.map_(pa.string(), pa.int8())),
        "tags": (["a", "b"], pa.list_(pa.string())),
        "nano": (when, pa.timestamp("ns", "UTC")),
        "day": (date(2024, 5, 1), pa.date32()),
        "price": (Decimal("9.90"), pa.decimal128(6, 2)),
        "none": (None, pa.null()),
    }
    arrays = {
        name: pa.array([list(v.items()) if isinstance(v, dict) else v], kind) for name, (v, kind) in values.items()
    }
    source = written(tmp_path, pa.table(arrays))
    assert list(source.rows()) == [{name: value for name, (value, _) in values.items()}]
    assert source.count() == 1


def test_nanoseconds_need_no_pandas(tmp_path: Path) -> None:
    (row,) = written(tmp_path, pa.table({"t": pa.array([1_000_000_001], pa.timestamp("ns"))})).rows()
    assert row == {"t": datetime(1970, 1, 1, 0, 0, 1)}


def test_a_date_beyond_the_calendar_is_a_bad_row(tmp_path: Path) -> None:
    table = pa.table({"text": ["好", "差"], "t": pa.array([0, 2**60], pa.timestamp("us"))})
    first, second = written(tmp_path, table).rows()
    assert first == {"text": "好", "t": datetime(1970, 1, 1)}
    assert second == {"text": "差", BAD_ROW: "column 't' holds bytes that are no valid timestamp[us]"}


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with pytest.raises(DataError) as caught:
        written(tmp_path, table)
    assert caught.value.message == f"{tmp_path / 'file.parquet'} cannot be read: it has two columns named 'text'"
