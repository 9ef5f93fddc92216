"""The labels of the public sets, on small sets of our own sentences."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.annotations import annotation_key
from pipeline.errors import ConfigError, DataError, SchemaError
from pipeline.schema import LabelSchema
from training.leakage import LeakGuard
from training.progress import Silent
from training.public_labels import joined_schema, labeled_rows, public_labels

SETS = {
    "online_shopping_10_cats/all": {
        "text": ["苹果很脆很甜", "平板两天就黑屏了", "汤洒了一袋子"],
        "label": [1, 0, 0],
        "cat": ["水果", "平板", None],
    },
    "waimai_10k/all": {"text": ["苹果很脆很甜！", ""], "label": [0, 1]},
    "bdci2018_car/train": {"text": ["油耗高，内饰塑料感重"], "subjects": [["油耗", "内饰"]]},
    "atec_pairs/train": {"text_a": ["怎么提前还款"], "text_b": ["能不能早点还清"], "label": [1]},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, columns in SETS.items():
        path = tmp_path / "datasets" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
    return tmp_path


def test_labels_of_one_text_are_joined_and_guarded_ones_held_back(data: Path) -> None:
    found = labeled_rows(data, public_labels(), guard=LeakGuard(["汤洒了一袋子"]), progress=Silent())
    labels = {example.text: dict(example.labels) for example in found.rows.examples}
    assert labels == {
        "苹果很脆很甜": {"polarity": "positive", "goods": "fruit"},  # the first set is believed
        "平板两天就黑屏了": {"polarity": "negative", "goods": "tablet"},
        "油耗高,内饰塑料感重": {"car_topic": ("fuel", "interior")},
        "怎么提前还款。能不能早点还清": {"same_question": "yes"},
    }
    assert found.counts["online_shopping_10_cats"] == {"rows": 5, "held_back": 1}
    assert found.counts["waimai_10k"] == {"rows": 1}


def test_a_key_holds_back_a_text_and_either_of_a_pair(data: Path) -> None:
    keys = [annotation_key(text) for text in ("苹果很脆很甜！", "能不能早点还清")]
    guard = LeakGuard([], labeled=[key for key in keys if key])
    found = labeled_rows(data, public_labels(), guard=guard, progress=Silent())
    assert {example.text for example in found.rows.examples} == {
        "平板两天就黑屏了",
        "汤洒了一袋子",
        "油耗高,内饰塑料感重",
    }
    assert found.counts["atec_pairs"] == {"rows": 1, "held_back": 1}


def test_a_label_that_the_file_does_not_name_is_told(data: Path) -> None:
    pq.write_table(pa.table({"text": ["好"], "label": [7]}), data / "datasets" / "waimai_10k" / "all.parquet")
    with pytest.raises(DataError, match=r"^waimai_10k, column label: task 'polarity' has no label '7'") as caught:
        labeled_rows(data, public_labels(), guard=LeakGuard([]), progress=Silent())
    assert caught.value.code == "label_unknown"


def test_nothing_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    with pytest.raises(DataError, match="expected labelled public sets under datasets/; found none"):
        labeled_rows(tmp_path, public_labels(), guard=LeakGuard([]), progress=Silent())


def test_no_evaluation_split_is_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.toml"
    source = '[[sources]]\ntask = "a"\nset = "chnsenticorp"\nsplits = ["train", "test"]\ncolumn = "label"\n'
    file.write_text(f'[tasks.a]\nkind = "single"\nlabels = ["0", "1"]\n{source}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^chnsenticorp/test is only for measuring$"):
        public_labels(file)


def test_own_tasks_stand_behind_the_public_ones(schema: LabelSchema) -> None:
    labels = public_labels().schema
    both = joined_schema(labels, schema)
    assert [task.name for task in both.tasks] == [task.name for task in (*labels.tasks, *schema.tasks)]
    with pytest.raises(SchemaError, match="task 'sentiment' is among the public labels too"):
        joined_schema(both, schema)
