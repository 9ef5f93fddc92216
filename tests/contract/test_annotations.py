"""data/annotations: labels of the schema, no text in them, and the texts are found in the public sets."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.annotation_texts import public_rows, text_files
from pipeline.annotations import KEY_VERSION, annotation_key, join_texts, match_texts, read_annotations
from pipeline.resources import shipped
from pipeline.schema import LabelSchema

FOLDER = shipped("data", "annotations")
FILES = sorted(FOLDER.glob("*.jsonl"))
LABELS = ("sentiment", "category", "aspects", "urgency")
SHARED = ("train.jsonl", "dev.jsonl")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_files_are_there() -> None:
    assert {path.name for path in FILES} >= set(SHARED)
    assert (len(rows(FOLDER / "train.jsonl")), len(rows(FOLDER / "dev.jsonl"))) == (5979, 776)
    assert f"version {KEY_VERSION}, is frozen" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_they_hold_labels_of_the_schema_and_no_text(path: Path, schema: LabelSchema) -> None:
    assert path.read_bytes().isascii()  # no Chinese character, as such; as \uXXXX neither:
    assert re.search(r"\\u", path.read_text(encoding="utf-8")) is None
    for row in rows(path):
        assert list(row) == ["key", "id", "source", "draw", *LABELS]
        assert re.fullmatch(r"[0-9a-f]{64}", row["key"])
        assert all(re.fullmatch(r"\w{1,40}", row[name]) for name in ("id", "source", "draw"))
        for task in ("sentiment", "category", "urgency"):
            assert row[task] in schema.task(task).keys
        assert set(row["aspects"]) <= set(schema.task("aspects").keys)
        assert set(row["aspects"].values()) <= {-1, 0, 1}


def test_no_key_and_no_id_is_there_twice() -> None:
    everything = [row for path in FILES for row in rows(path)]
    assert len({row["key"] for row in everything}) == len({row["id"] for row in everything}) == len(everything)


@pytest.mark.parametrize("name", SHARED)
def test_labels_are_those_of_the_labelled_texts(name: str, shared_data: Path) -> None:
    labelled = shared_data / "triage" / name
    if not labelled.is_file():
        pytest.skip(f"needs the labelled texts: no file {labelled}")
    expected = [{"key": annotation_key(row.pop("text")), **row} for row in rows(labelled)]
    assert rows(FOLDER / name) == expected


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_97_percent_of_the_texts_are_found(shared_data: Path) -> None:
    labels = {path.name: read_annotations(path) for path in FILES}
    keys = {one.key for found in labels.values() for one in found}
    matches = match_texts(keys, public_rows(text_files(shared_data)))
    for name, annotations in labels.items():
        joined = join_texts(annotations, matches)
        assert joined.share >= 0.97, (name, joined.sources)
        for row in joined.rows[:100]:
            assert annotation_key(row["text"]) in keys
