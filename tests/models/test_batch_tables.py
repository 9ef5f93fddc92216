"""models/batch_tables.py: parquet into parquet."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.batch import ScoreOptions, score_file
from models.predictor import BundlePredictor
from pipeline.errors import DataError
from pipeline.parquet_rows import ParquetSource
from pipeline.readers import read_batches
from pipeline.routing import load_policy
from pipeline.rows import ReadLimits

TEXTS = ["快递很慢", "服务很好", None, "", "快递慢，服务好"] * 1000


@pytest.fixture
def table() -> pa.Table:
    count = len(TEXTS)
    return pa.table(
        {
            "id": pa.array(range(count), pa.int32()),
            "text": pa.array(TEXTS, pa.large_string()),
            "kind": pa.array(["app", "web"] * (count // 2)).dictionary_encode(),
            "made": pa.array([datetime(2026, 1, 1)] * count, pa.timestamp("ns")),
            "marks": pa.array([[("a", i)] for i in range(count)], pa.map_(pa.string(), pa.int16())),
            "bytes": pa.array([b"\xff"] * count, pa.binary()),
        }
    )


def test_columns_keep_their_types_and_answers_are_those_of_rows(
    tmp_path: Path, table: pa.Table, predictor: BundlePredictor
) -> None:
    source, policy = tmp_path / "in.parquet", load_policy()
    pq.write_table(table, source, row_group_size=700)
    options = ScoreOptions(prefix="p_", all_probabilities=True)
    for name in ("out.parquet", "out.jsonl"):
        score_file(source, tmp_path / name, predictor=predictor, policy=policy, options=options)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.column_names).cast(table.schema) == table
    for name in ("id", "text", "made", "marks", "bytes"):
        assert found.schema.field(name).type == table.schema.field(name).type
    types = {
        name: str(found.schema.field(f"p_{name}").type) for name in ("mood", "mood_probability", "due_at", "flags")
    }
    assert types == {
        "mood": "string",
        "mood_probability": "double",
        "due_at": "timestamp[us, tz=UTC]",
        "flags": "list<element: string>",
    }
    rows = [row for batch in read_batches(tmp_path / "out.jsonl") for row in batch.rows]
    ours = [name for name in found.column_names if name.startswith("p_") and name != "p_due_at"]
    for name in ours:
        cells = found[name].to_pylist()
        if name == "p_parts":
            cells = [None if cell is None else dict(cell) for cell in cells]
        assert cells == [row[name] for row in rows], name


def test_columns_of_the_input_can_be_replaced(tmp_path: Path, predictor: BundlePredictor) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"mood": [1, 2], "text": ["很慢", "很好"]}), source)
    options = ScoreOptions(overwrite=True)
    score_file(source, tmp_path / "out.parquet", predictor=predictor, policy=load_policy(), options=options)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["mood"].to_pylist() == ["bad", "fine"]
    assert found.column_names[:2] == ["text", "mood"]


def test_no_rows(tmp_path: Path, predictor: BundlePredictor, table: pa.Table) -> None:
    pq.write_table(table.slice(0, 0), tmp_path / "in.parquet")
    summary = score_file(tmp_path / "in.parquet", tmp_path / "out.parquet", predictor=predictor, policy=load_policy())
    found = pq.read_table(tmp_path / "out.parquet")
    assert (summary.rows, found.num_rows) == (0, 0)
    assert found.schema.field("mood").type == pa.string()
    assert found.schema.field("id").type == pa.int32()


def test_a_source_that_changes_meanwhile_is_told(tmp_path: Path, predictor: BundlePredictor, table: pa.Table) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(table, source)

    def shorten(_: object) -> None:
        pq.write_table(table.slice(0, 100), source)

    with pytest.raises(DataError) as raised:
        score_file(source, tmp_path / "out.parquet", predictor=predictor, policy=load_policy(), progress=shorten)
    assert raised.value.message == f"{source} changed while it was scored; run the command again"


def test_tables_are_bounded_and_hold_every_row(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=2000)
    tables = list(ParquetSource(tmp_path / "in.parquet", ReadLimits()).tables())
    assert max(one.num_rows for one in tables) <= 4096
    assert pa.concat_tables(tables)["id"].to_pylist() == table["id"].to_pylist()


def test_rows_of_some_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [2], "c": [3]}), tmp_path / "in.parquet")
    source = ParquetSource(tmp_path / "in.parquet", ReadLimits())
    assert list(source.rows_of(["c", "a", "none"])) == [{"a": 1, "c": 3}]
