"""Embeddings of a network in scored files: from a training to every format that holds them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.batch import ScoreOptions, score_file
from models.loading import load_predictor
from pipeline.feedback import Example
from pipeline.readers import read_batches
from pipeline.routing import load_policy
from training.config import resolve
from training.train import train

TINY = ["profile=quick", "encoder=none", "layers=1", "hidden=64", "epochs=1", "max_tokens=32", "track=false"]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [row for batch in read_batches(path) for row in batch.rows]


@pytest.mark.slow
def test_every_format_gets_the_embeddings(tmp_path: Path, examples: list[Example]) -> None:
    rows = [{"text": example.text, **example.labels} for example in examples]
    given = {
        "train": (write(tmp_path / "train.jsonl", rows[:18]),),
        "dev": write(tmp_path / "dev.jsonl", rows[18:]),
        "model": "network",
        "output": tmp_path / "out",
    }
    result = train(resolve(given, overrides=TINY))
    assert result is not None
    predictor = load_predictor(result.bundle.path)
    texts = ["快递三天没到", "", "房间隔音差，" * 30, "很好"]
    good = [text for text in texts if text]
    expected = predictor.embeddings(good)
    assert expected is not None
    assert expected.shape == (3, 64)

    source = write(tmp_path / "in.jsonl", [{"text": text} for text in texts])
    for extension in ("jsonl", "csv", "parquet", "xlsx"):
        target = tmp_path / f"scored.{extension}"
        options = ScoreOptions(embeddings=True)
        assert score_file(source, target, predictor=predictor, policy=load_policy(), options=options).failed == 1
        cells = [row["embedding"] for row in read(target)]
        if extension in ("csv", "xlsx"):
            cells = [json.loads(cell) if cell else None for cell in cells]
        found = np.array([cell for cell, text in zip(cells, texts, strict=True) if text], dtype=np.float64)
        # Half precision: three digits.
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3, err_msg=extension)
        missing = cells[texts.index("")]
        assert missing is None or np.isnan(missing).all()
    assert pq.read_schema(tmp_path / "scored.parquet").field("embedding").type == pa.list_(pa.float16(), 64)
