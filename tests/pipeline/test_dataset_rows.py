"""pipeline/dataset_rows.py: folders that Hugging Face datasets saved."""

from pathlib import Path

import pytest

from pipeline.columns import read_examples
from pipeline.errors import DataError
from pipeline.readers import column_names, count_rows, read_batches
from pipeline.schema import LabelSchema
from training.rows import input_file

datasets = pytest.importorskip("datasets")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Two comments; the sentiments are class labels in another order than the schema's."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "sentiment": datasets.ClassLabel(names=["positive", "negative", "neutral"])}
    )
    rows = {"text": ["菜凉了才端上来", "老板送了一碟花生"], "sentiment": [1, 0]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_class_labels_come_as_names(saved: Path, schema: LabelSchema) -> None:
    assert column_names(saved) == ["text", "sentiment"]
    assert count_rows(saved) == 2
    found = read_examples(saved, schema)
    assert [(example.text, example.labels) for example in found] == [
        ("菜凉了才端上来", {"sentiment": "negative"}),
        ("老板送了一碟花生", {"sentiment": "positive"}),
    ]


def test_its_digest_follows_its_content(saved: Path) -> None:
    before = input_file(saved, role="train", rows=2).sha256
    assert before == input_file(saved, role="train", rows=2).sha256
    (arrow,) = saved.glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes() + b"\0")
    assert before != input_file(saved, role="train", rows=2).sha256


def test_several_splits_are_told_apart(tmp_path: Path) -> None:
    part = datasets.Dataset.from_dict({"text": ["好"]})
    datasets.DatasetDict({"train": part, "dev": part}).save_to_disk(str(tmp_path / "all"))
    with pytest.raises(DataError) as error:
        list(read_batches(tmp_path / "all"))
    assert error.value.message == (
        f"{tmp_path / 'all'} cannot be read: it holds several splits; name one of its folders: dev, train"
    )


def test_a_torn_folder_and_any_other_folder_are_refused(saved: Path, tmp_path: Path) -> None:
    (saved / "dataset_info.json").unlink()
    with pytest.raises(DataError) as torn:
        list(read_batches(saved))
    assert torn.value.code == "unreadable"
    with pytest.raises(DataError) as other:
        list(read_batches(tmp_path))
    assert other.value.code == "format_unknown"
