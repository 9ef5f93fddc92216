"""The list of public sets and their reading."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, DataError
from training.public_sets import (
    Found,
    PublicSet,
    evaluation_texts,
    forms_of,
    found_in,
    measured_splits,
    present_sets,
    public_sets,
    texts_of,
    unlisted,
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


def test_a_review_with_a_title_has_been_labelled_as_one_text(tmp_path: Path) -> None:
    path = tmp_path / "datasets" / "appstore_reviews" / "all.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"title": ["闪退"], "text": ["一打开就退"]}), path)
    one = PublicSet("appstore_reviews", "feedback", ("all",), columns=("title", "text"))
    assert list(found_in(tmp_path, one, "all")) == [
        Found("闪退", ("闪退", "闪退。一打开就退")),
        Found("一打开就退", ("一打开就退", "闪退。一打开就退")),
    ]


def test_of_a_dialogue_long_turns_have_been_labelled_alone() -> None:
    long = "上个月买的净水器滤芯到现在还没有人来换过"
    assert list(forms_of("jddc_sample", f"在吗,{long}")) == [f"在吗,{long}", long, f"在吗，{long}"]


def test_another_table_adds_what_is_measured_and_takes_nothing_away(public_data: Path) -> None:
    own = PublicSet("waimai_10k", "feedback", (), evaluation=("all",))
    found = [(one.name, split) for one, split in measured_splits(public_data, (own,))]
    assert found == [("chnsenticorp", "dev"), ("chnsenticorp", "test"), ("waimai_10k", "all")]
    assert "骑手迷路了，面都坨了" in list(evaluation_texts(public_data, (own,)))


def test_sets_that_no_table_names(public_data: Path) -> None:
    assert unlisted(public_data, public_sets()) == ()
    assert unlisted(public_data, public_sets()[:5]) == ("atec_pairs", "unlabelled_weibo_ced", "waimai_10k")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('text = ["train"]', "kind is one of feedback, general; found None"),
        ('kind = "feedback"', "text is a list of names; found []"),
        ('kind = "feedback"\ntext = "train"', "text is a list of names; found 'train'"),
        ('kind = "feedback"\ntext = ["train"]\nevaluation = [1]', "evaluation is a list of names; found [1]"),
        ('kind = "feedback"\ntext = ["train"]\nshare = 2', "share is over 0 and at most 1; found 2"),
        ('kind = "feedback"\ntext = ["train"]\nabout = 7', "about is a sentence; found 7"),
        (
            'kind = "feedback"\ntext = ["train"]\ncolumn = "body"',
            "the set: unknown key 'column'; known: about, columns, evaluation, kind, share, text",
        ),
    ],
)
def test_a_table_of_ones_own_is_checked(tmp_path: Path, body: str, message: str) -> None:
    file = tmp_path / "sets.toml"
    file.write_text(f"[mine]\n{body}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        public_sets(file)
    assert (caught.value.code, caught.value.message) == ("sets_invalid", f"{file}, [mine]: {message}")


def test_a_table_that_is_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist; give --sets FILE\.toml$"):
        public_sets(tmp_path / "absent.toml")


def test_evaluation_texts_are_dev_and_the_splits(public_data: Path) -> None:
    found = list(evaluation_texts(public_data))
    assert found == ["汤洒了一袋子", "房间朝北，冷得睡不着", ""]
    assert [one.name for one in present_sets(public_data, public_sets())] == [
        "chnsenticorp",
        "waimai_10k",
        "atec_pairs",
        "unlabelled_weibo_ced",
    ]
