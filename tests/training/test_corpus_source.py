"""Whether a corpus is of the data that is named."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from training.corpus import MANIFEST, read_manifest
from training.corpus_source import corpus_source, require_source
from training.public_sets import PublicSet, present_sets, public_sets

Check = Callable[[], None]


@pytest.fixture
def data(public_data: Path, tmp_path: Path) -> Path:
    """A copy: its files are younger, and the same."""
    return Path(shutil.copytree(public_data, tmp_path / "copy"))


def sets_of(data: Path) -> tuple[PublicSet, ...]:
    return present_sets(data, public_sets())


def refused(corpus: Path, data: Path, sets: tuple[PublicSet, ...] | None = None) -> str:
    with pytest.raises(DataError) as caught:
        require_source(corpus, read_manifest(corpus), data, sets_of(data) if sets is None else sets)
    assert caught.value.code == "corpus_differs"
    return caught.value.message


def test_a_copy_of_the_data_is_the_same(small_corpus: Path, data: Path) -> None:
    require_source(small_corpus, read_manifest(small_corpus), data, sets_of(data))


def test_another_file_is_named_with_what_to_do(small_corpus: Path, data: Path) -> None:
    pq.write_table(pa.table({"text": ["面条没放盐"]}), data / "datasets" / "waimai_10k" / "all.parquet")
    assert refused(small_corpus, data) == (
        f"the corpus {small_corpus} was built from other data: waimai_10k/all differs; name another folder with "
        f"--corpus to have one built from {data}, or give --data and --sets as it was built"
    )


def test_a_set_more_or_less_is_another_corpus(small_corpus: Path, data: Path) -> None:
    shutil.rmtree(data / "datasets" / "chnsenticorp")
    shutil.rmtree(data / "datasets" / "atec_pairs")
    found = refused(small_corpus, data)
    assert "atec_pairs/train, chnsenticorp/dev, chnsenticorp/test and 1 more differ;" in found


def test_another_guard_is_another_corpus(small_corpus: Path, data: Path) -> None:
    dev = data / "triage" / "dev.jsonl"
    dev.write_text(json.dumps({"text": "杯盖拧不紧"}) + "\n", encoding="utf-8")
    assert "triage/dev.jsonl differs;" in refused(small_corpus, data)


def test_another_table_is_another_corpus_but_not_another_description(small_corpus: Path, data: Path) -> None:
    first, *others = sets_of(data)
    require_source(small_corpus, read_manifest(small_corpus), data, (replace(first, about="hotels"), *others))
    assert "the table of sets differs;" in refused(small_corpus, data, (replace(first, share=0.5), *others))


def test_the_shipped_keys_are_part_of_it(data: Path) -> None:
    assert len(corpus_source(data, sets_of(data))["guarded"]["annotations/dev.jsonl"]) == 64


def test_a_corpus_that_does_not_tell_is_refused(small_corpus: Path, data: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    manifest = read_manifest(small_corpus)
    del manifest["origin"]
    (old / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    assert f"the corpus {old} does not tell what it was built from; name another folder" in refused(old, data)
