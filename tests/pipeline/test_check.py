import json
from collections.abc import Callable
from pathlib import Path

from pipeline.check import Conflict, check, check_file
from pipeline.columns import RowProblem
from pipeline.feedback import Example
from pipeline.schema import LabelSchema

Make = Callable[..., Example]


def test_a_clean_file_has_no_findings(examples: list[Example], schema: LabelSchema) -> None:
    report = check(examples, schema)
    assert (report.errors, report.duplicates, report.near_duplicates, report.conflicts) == (0, 0, 0, ())
    assert (report.garbled, report.untextual, report.truncated, report.unknown_rate) == ((), (), 0, 0.0)
    assert set(report.unlabelled.values()) == {0}


def test_each_finding_names_its_rows(make_example: Make, schema: LabelSchema) -> None:
    long = "等位两小时，上菜又等了半小时，服务员还把汤洒在我包上，道歉都没有一句，这辈子不会再来第二次"
    report = check(
        [
            make_example(long, sentiment="negative", aspects={"service": -1}),
            make_example(f"{long}！", sentiment="negative", aspects={"service": -1, "environment": 0}),
            make_example(f"{long}了", sentiment="neutral"),
            make_example("有事打13912345678找我", sentiment="neutral"),
            make_example("涓滆タ寰堝ソ", sentiment="positive"),
            make_example("\u200b\u200b"),
            make_example("慢" + "等得花儿都谢了，" * 400),
            make_example("图标变成\ue000了"),
        ],
        schema,
        rows=[2, 3, 5, 6, 7, 8, 9, 10],
    )
    assert (report.duplicates, report.near_duplicates) == (1, 1)
    assert report.conflicts == (
        Conflict("sentiment", (2, 3, 5), ("negative", "negative", "neutral")),
        Conflict("aspects", (2, 3), ("service:-1", "service:-1;environment:0")),
    )
    assert (report.garbled, report.untextual, report.truncated) == ((7,), (8,), 1)
    assert report.unknown_characters == {"U+200B": 2, "U+E000": 1}
    assert sum(report.pii.values()) == 1
    assert report.unlabelled["sentiment"] == 3
    assert report.errors == 1


def test_a_file_is_read_to_its_end_whatever_its_rows_hold(tmp_path: Path, schema: LabelSchema) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [
        '{"text": "好用", "sentiment": "positive"}',
        "{",
        '{"text": "坏了", "sentiment": "angry"}',
        '{"text": "可以"}',
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    seen: list[int] = []
    report = check_file(path, schema, progress=seen.append)
    assert [problem.row for problem in report.problems] == [2, 3]
    assert report.problems[1] == RowProblem(3, "sentiment has no label 'angry'", "sentiment")
    assert report.stats.rows == 2
    assert report.errors == 2


def test_report_is_json_and_holds_no_text(make_example: Make, schema: LabelSchema) -> None:
    report = check(
        [make_example("唯一的暗号藏在这里"), make_example("唯一的暗号藏在这里", sentiment="neutral")], schema
    )
    document = json.dumps(report.to_dict(), ensure_ascii=False)
    assert "暗号" not in document
    assert json.loads(document)["duplicates"] == 1
