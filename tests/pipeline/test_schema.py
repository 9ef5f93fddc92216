"""pipeline/schema.py: the shipped schema, a user's own, and every mistake told with its place."""

import json
from pathlib import Path

import pytest

from models.answer import column_kinds
from models.answer_records import EMBEDDING
from models.batch_segment import EVIDENCE
from pipeline.errors import SchemaError
from pipeline.schema import RESERVED, Kind, load_schema, schema_from_dict


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "schema.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_schema_is_the_guideline() -> None:
    schema = load_schema()
    assert [(task.name, task.kind) for task in schema.tasks] == [
        ("sentiment", Kind.SINGLE),
        ("category", Kind.SINGLE),
        ("aspects", Kind.ASPECT),
        ("urgency", Kind.ORDINAL),
    ]
    assert schema.task("sentiment").keys == ("negative", "neutral", "positive")
    assert schema.task("category").keys == schema.task("aspects").keys
    assert len(schema.task("category").keys) == 12
    urgency = schema.task("urgency")
    assert {label.key: label.respond_within for label in urgency.labels} == {
        "low": 1440,
        "medium": 240,
        "high": 60,
        "critical": 30,
    }
    assert [label.key for label in urgency.labels if label.alert] == ["high", "critical"]
    for task in schema.tasks:
        for label in task.labels:
            assert label.zh
            assert label.definition
            assert len(label.examples) == 2


def test_round_trip_keeps_everything() -> None:
    schema = load_schema()
    again = schema_from_dict(json.loads(json.dumps(schema.to_dict())))
    assert again == schema
    assert again.digest == schema.digest


def test_labels_are_found_by_key_and_by_chinese_name() -> None:
    category = load_schema().task("category")
    assert category.index("logistics") == category.index("物流配送") == 3
    with pytest.raises(SchemaError) as error:
        category.index("logistic")
    assert error.value.code == "unknown_label"
    assert error.value.message == (
        "task 'category' has no label 'logistic'; did you mean 'logistics'? Its labels are: product, function, "
        "description, logistics, price, billing, refund, service, environment, account, safety, other"
    )


def test_unknown_task_names_the_known_ones() -> None:
    with pytest.raises(SchemaError, match="has no task 'mood'; it has: sentiment, category, aspects, urgency"):
        load_schema().task("mood")
    assert "mood" not in load_schema()


def test_digest_follows_keys_and_order_not_wording(tmp_path: Path) -> None:
    one = load_schema(write(tmp_path, '[tasks.t]\nkind="single"\nlabels=["a","b"]'))
    worded = load_schema(
        write(tmp_path, '[tasks.t]\nkind="single"\nlabels=[{key="a",definition="x"},{key="b",zh="乙"}]')
    )
    swapped = load_schema(write(tmp_path, '[tasks.t]\nkind="single"\nlabels=["b","a"]'))
    assert one.digest == worded.digest != swapped.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a schema needs at least one table [tasks.NAME]; none was found"),
        ('[tasks.T]\nkind="single"', "[tasks.T]: a task name is lower-case ASCII letters, digits and _"),
        ('[tasks.t]\nkind="two"', "[tasks.t]: kind is one of single, ordinal, multi, aspect; found 'two'"),
        ('[tasks.t]\nkind="single"\nlabels=["a"]', "[tasks.t]: a single task needs at least 2 labels; found 1"),
        ('[tasks.t]\nkind="single"\nlabels=["a","a"]', "[tasks.t]: key or 中文 name used twice: a"),
        (
            '[tasks.t]\nkind="single"\nlabels=["好","坏"]',
            "[tasks.t] label 1: key is lower-case ASCII (letters, digits, _ . -); found '好'",
        ),
        ('[tasks.t]\nkind="aspect"\nlabels_from="u"', "[tasks.t]: labels_from names no task above it: 'u'"),
        (
            '[tasks.t]\nkind="single"\ncolour=1\nlabels=["a","b"]',
            "[tasks.t]: unknown key 'colour'; known: definition, kind, labels, labels_from, zh",
        ),
        (
            '[tasks.t]\nkind="ordinal"\nlabels=[{key="a",respond_within="soon"},"b"]',
            "[tasks.t] label 1: respond_within is like '30 min', '4 h' or '1 d'; found 'soon'",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",satisfaction=3},"b"]',
            "[tasks.t] label 1: satisfaction is between 0 and 1; found 3",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",satisfaction="high"},"b"]',
            "[tasks.t] label 1: satisfaction is between 0 and 1; found 'high'",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",satisfaction=true},"b"]',
            "[tasks.t] label 1: satisfaction is between 0 and 1; found True",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",satisfaction=nan},"b"]',
            "[tasks.t] label 1: satisfaction is between 0 and 1; found nan",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",examples=5},"b"]',
            "[tasks.t] label 1: examples is a list of texts; found 5",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",examples="很好"},"b"]',
            "[tasks.t] label 1: examples is a list of texts; found '很好'",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",examples=["好",1]},"b"]',
            "[tasks.t] label 1: examples is a list of texts; found ['好', 1]",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",alert="false"},"b"]',
            "[tasks.t] label 1: alert is true or false; found 'false'",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",zh=["a"]},"b"]',
            "[tasks.t] label 1: zh is text; found ['a']",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",definition=5},"b"]',
            "[tasks.t] label 1: definition is text; found 5",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",respond_within=-30},"b"]',
            "[tasks.t] label 1: respond_within is like '30 min', '4 h' or '1 d'; found -30",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",respond_within="0 h"},"b"]',
            "[tasks.t] label 1: respond_within is like '30 min', '4 h' or '1 d'; found '0 h'",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",respond_within=true},"b"]',
            "[tasks.t] label 1: respond_within is like '30 min', '4 h' or '1 d'; found True",
        ),
        (
            '[tasks.t]\nkind="single"\nlabels=[{key="a",respond_within="9999999 d"},"b"]',
            "[tasks.t] label 1: respond_within is like '30 min', '4 h' or '1 d'; found '9999999 d'",
        ),
        ('[tasks.t]\nkind="aspect"\nlabels_from=["a"]', "[tasks.t]: labels_from names no task above it: ['a']"),
        (
            '[tasks.zone]\nkind="single"\nlabels=["a","b"]',
            "[tasks.zone]: a scored file has a column 'zone' already; rename the task",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SchemaError) as error:
        load_schema(write(tmp_path, text))
    assert error.value.code == "schema_invalid"
    assert error.value.message == message


def test_no_task_takes_the_name_of_an_output_column() -> None:
    schema = schema_from_dict({"tasks": {"t": {"kind": "single", "labels": [{"key": "a", "satisfaction": 0}, "b"]}}})
    columns = {name for name, _ in column_kinds(schema, routed=True)} | {"satisfaction", EVIDENCE, EMBEDDING}
    assert columns - {"t", "t_probability"} | {"id", "text"} == RESERVED


def test_a_list_is_no_schema(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(SchemaError) as error:
        load_schema(tmp_path / "schema.json")
    assert error.value.message == "the schema: expected a table; found list"


def test_a_label_unlike_all_others_ends_its_sentence() -> None:
    with pytest.raises(SchemaError) as error:
        load_schema().task("sentiment").index("xyz")
    assert error.value.message == "task 'sentiment' has no label 'xyz'. Its labels are: negative, neutral, positive"


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as missing:
        load_schema(tmp_path / "none.toml")
    assert missing.value.code == "schema_missing"
    with pytest.raises(SchemaError) as folder:
        load_schema(tmp_path)
    assert folder.value.code == "schema_unreadable"
    assert folder.value.message == f"schema file {tmp_path} cannot be read: Is a directory"
    with pytest.raises(SchemaError) as broken:
        load_schema(write(tmp_path, "[tasks"))
    assert broken.value.code == "schema_unreadable"
    (tmp_path / "gbk.toml").write_bytes('name = "中文"'.encode("gb18030"))
    with pytest.raises(SchemaError) as wrong:
        load_schema(tmp_path / "gbk.toml")
    assert wrong.value.code == "schema_unreadable"
