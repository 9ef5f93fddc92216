"""Any text that was written is read back as it was, in every format."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cells import guard
from pipeline.readers import read_batches
from pipeline.writers import Column, open_writer

# What every format can hold: no surrogates; workbooks and blank-row rules have tests of their own.
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1, max_size=8)


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "parquet"])
@settings(max_examples=60, deadline=None)
@given(texts=TEXTS)
def test_text_survives(extension: str, texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{extension}"
        with open_writer(path, columns=[Column("id", "integer"), Column("text", "text")]) as writer:
            writer.write([{"id": i, "text": text} for i, text in enumerate(texts)])
        found = [row["text"] for batch in read_batches(path) for row in batch.rows]
    guarded = extension in ("csv", "tsv")
    assert found == [guard(text) if guarded else text for text in texts]
