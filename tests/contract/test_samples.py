"""data/samples: what its README and manifest say is so, and every word of it is the project's own."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from pipeline.columns import read_examples
from pipeline.duplicates import near_duplicate_groups
from pipeline.resources import shipped
from pipeline.schema import LabelSchema

SPLIT = ("train", "dev", "test")
PARTS = (*SPLIT, "domains", "contrast")


def rows(part: str) -> list[dict[str, object]]:
    path = shipped("data", "samples", f"{part}.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_there_are_enough_and_every_task_is_labelled(schema: LabelSchema) -> None:
    counts = {}
    for part in PARTS:
        examples = read_examples(shipped("data", "samples", f"{part}.jsonl"), schema)
        counts[part] = len(examples)
        for example in examples:
            assert set(example.labels) == {task.name for task in schema.tasks}
            aspects = example.labels["aspects"]
            assert example.labels["category"] in aspects
    assert counts["train"] >= 900
    assert counts["dev"] >= 150
    assert counts["test"] >= 150
    assert (counts["domains"], counts["contrast"]) == (2697, 1975)


@pytest.mark.parametrize("part", PARTS)
def test_every_label_occurs_in_every_part(part: str, schema: LabelSchema) -> None:
    for task in ("sentiment", "category", "urgency"):
        assert {row[task] for row in rows(part)} == set(schema.task(task).keys)


def test_manifest_fits_the_files() -> None:
    manifest = json.loads(shipped("data", "samples", "manifest.json").read_text(encoding="utf-8"))
    for name, entry in manifest["files"].items():
        content = shipped("data", "samples", name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_no_near_duplicates_anywhere() -> None:
    texts = [str(row["text"]) for part in PARTS if part != "contrast" for row in rows(part)]
    groups = near_duplicate_groups(texts, threshold=0.6)
    assert len(set(groups)) == len(texts)


def test_the_near_twins_of_contrast_are_near_nothing_else() -> None:
    others = [str(row["text"]) for part in PARTS if part != "contrast" for row in rows(part)]
    twins = [str(row["text"]) for row in rows("contrast")]
    groups = near_duplicate_groups([*others, *twins], threshold=0.6)
    assert not set(groups[: len(others)]) & set(groups[len(others) :])


def test_none_is_a_text_of_the_public_sets(shared_data: Path) -> None:
    def key(text: str) -> str:
        return re.sub(r"[\W_]+", "", text)

    public = set()
    for name in ("train", "dev"):
        for line in (shared_data / "triage" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            public.add(key(json.loads(line)["text"])[:30])
    mine = [key(str(row["text"]))[:30] for part in PARTS for row in rows(part)]
    assert [text for text in mine if len(text) >= 8 and text in public] == []
