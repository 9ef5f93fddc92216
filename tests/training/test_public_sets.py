"""The list of public sets and their reading."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import DataError
from training.public_sets import (
    PublicSet,
    evaluation_texts,
    present_sets,
    public_sets,
    texts_of,
)

WriteSet = Callable[..., None]


def test_no_split_is_read_and_measured_on() -> None:
    for one in public_sets():
        assert not set(one.text) & set(one.evaluation), one.name


def test_the_standard_sets_keep_their_test_splits() -> None:
    held = {one.name: one.evaluation for one in public_sets()}
    assert held["chnsenticorp"] == ("dev", "test")
    assert held["dataclue_cic"] == ("dev", "test_public")
    assert "usual_test" in held["smp2020_ewect"]


def test_every_listed_file_is_there(shared_data: Path) -> None:
    for one in public_sets():
        for split in (*one.text, *one.evaluation):
            assert next(texts_of(shared_data, one, split)), (one.name, split)


def test_texts_come_column_by_column(public_data: Path) -> None:
    pairs = PublicSet("atec_pairs", "feedback", ("train",), columns=("text_a", "text_b"))
    assert list(texts_of(public_data, pairs, "train"))[:2] == ["怎么提前还款", "能不能早点还清"]


def test_missing_file_and_column_are_named(public_data: Path) -> None:
    one = PublicSet("waimai_10k", "feedback", ("all",), columns=("body",))
    with pytest.raises(DataError, match="expected the column body"):
        list(texts_of(public_data, one, "all"))
    with pytest.raises(DataError, match="found no such file"):
        list(texts_of(public_data, one, "train"))


def test_evaluation_texts_are_dev_and_the_splits(public_data: Path) -> None:
    found = list(evaluation_texts(public_data))
    assert found == ["汤洒了一袋子", "房间朝北，冷得睡不着", ""]
    assert [one.name for one in present_sets(public_data, public_sets())] == [
        "chnsenticorp",
        "waimai_10k",
        "atec_pairs",
        "unlabelled_weibo_ced",
    ]
