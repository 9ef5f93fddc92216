import json
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import fankui
from pipeline.annotations import annotation_key
from pipeline.cli import data_app
from pipeline.columns import read_examples
from pipeline.errors import ConfigError, DataError, FeedbackError, UsageError
from pipeline.resources import shipped
from pipeline.schema import LabelSchema

TEXTS = [f"第{number}单的锅盖还是漏气，换过也没用" for number in range(100)]
LONG = "排队两小时，" * 60


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two tiny sets, one of them a dialogue's."""
    for name, columns in {
        "waimai_10k/all": {"text": [f"{text}！" for text in TEXTS[:97]], "label": [0] * 97},
        "jddc_sample/train": {"text_a": [f"在吗,{TEXTS[97]},稍等"], "text_b": [f"{TEXTS[98]},{TEXTS[99]},"]},
    }.items():
        path = tmp_path / "sets" / "datasets" / f"{name}.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(columns), path)
    return tmp_path / "sets"


def labels(folder: Path, texts: list[str], *, name: str = "train.jsonl", source: str = "waimai") -> Path:
    rows = [
        {
            "key": annotation_key(text),
            "id": f"T{number}",
            "source": source,
            "draw": "random",
            "sentiment": "negative",
            "category": "product",
            "aspects": {"product": -1},
            "urgency": "medium",
        }
        for number, text in enumerate(texts)
    ]
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(*args: object) -> str:
    result = CliRunner().invoke(data_app, ["join", *map(str, args)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(kind: type[FeedbackError], *args: object) -> FeedbackError:
    with pytest.raises(kind) as caught:
        CliRunner().invoke(data_app, ["join", *map(str, args)], catch_exceptions=False)
    return caught.value


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_file_is_joined_and_can_be_trained_on(data: Path, tmp_path: Path, schema: LabelSchema) -> None:
    file = labels(tmp_path / "labels", TEXTS)
    report = json.loads(run("--data", data, "--annotations", file, "-o", tmp_path / "out.jsonl", "--json"))
    assert report["files"] == {
        "train.jsonl": {
            "output": str(tmp_path / "out.jsonl"),
            "rows": 100,
            "matched": 100,
            "missing": [],
            "ambiguous": {},
            "sources": {"waimai": {"rows": 100, "matched": 100, "missing": 0, "ambiguous": 0}},
        }
    }
    rows = lines(tmp_path / "out.jsonl")
    assert rows[0] == {
        "id": "T0",
        "source": "waimai",
        "draw": "random",
        "text": f"{TEXTS[0]}！",
        "sentiment": "negative",
        "category": "product",
        "aspects": {"product": -1},
        "urgency": "medium",
    }
    assert list(rows[0])[:4] == ["id", "source", "draw", "text"]
    assert [row["text"] for row in rows[97:]] == TEXTS[97:]
    examples = read_examples(tmp_path / "out.jsonl", schema)
    assert {example.source for example in examples} == {"waimai"}
    assert all(set(example.labels) == {"sentiment", "category", "aspects", "urgency"} for example in examples)


def test_a_folder_gives_a_folder_and_only_counts_are_printed(data: Path, tmp_path: Path) -> None:
    labels(tmp_path / "labels", TEXTS[:90])
    labels(tmp_path / "labels", TEXTS[90:], name="dev.jsonl", source="bank")
    printed = run("--data", data, "--annotations", tmp_path / "labels", "-o", tmp_path / "out")
    assert "train.jsonl: 100.00% matched, written to" in printed
    assert "锅盖" not in printed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dev.jsonl", "train.jsonl"]
    assert len(lines(tmp_path / "out" / "train.jsonl")) == 90
    assert len(lines(tmp_path / "out" / "dev.jsonl")) == 10


def test_97_of_100_are_enough(data: Path, tmp_path: Path) -> None:
    file = labels(tmp_path / "labels", [*TEXTS[:97], "一", "二", "三"])
    report = json.loads(run("--data", data, "--annotations", file, "-o", tmp_path / "out", "--json"))
    assert report["files"]["train.jsonl"]["missing"] == ["T97", "T98", "T99"]


def test_fewer_are_written_and_refused(data: Path, tmp_path: Path) -> None:
    good = labels(tmp_path / "labels", TEXTS)
    few = labels(tmp_path / "labels", [*TEXTS[:96], "一", "二", "三", "四"], name="dev.jsonl", source="bank")
    args = ("--data", data, "--annotations", good, "--annotations", few)
    error = refusal(DataError, *args, "-o", tmp_path / "out")
    assert error.code == "texts_missing"
    assert error.message.startswith(
        "expected at least 97% of the texts; found dev.jsonl: 96 of 100, missing 4 (bank 4). "
        f"{data / 'datasets'} lacks online_shopping_10_cats, chnsenticorp, "
    )
    assert "waimai_10k" not in error.message
    assert "jddc_sample" not in error.message
    assert error.message.endswith("; data/annotations/README.md says which source is in which set")
    assert len(lines(tmp_path / "out" / "dev.jsonl")) == 96
    command = ["data", "join", *map(str, args), "-o", str(tmp_path / "again"), "--json"]
    assert fankui.run(command) == 1


def test_where_every_set_is_there_the_files_are_suspected(data: Path, tmp_path: Path) -> None:
    for name in tomllib.loads(shipped("data", "public_sets.toml").read_text(encoding="utf-8")):
        folder = data / "datasets" / name
        folder.mkdir(exist_ok=True)
        pq.write_table(pa.table({"text": ["好"]}), folder / "all.parquet")
    error = refusal(
        DataError, "--data", data, "--annotations", labels(tmp_path / "labels", TEXTS[:2]), "-o", tmp_path / "out"
    )
    assert error.message == (
        "expected at least 97% of the texts; found train.jsonl: 0 of 2, missing 2 (waimai 2). "
        f"{data / 'datasets'} has every listed set, so look for files that are incomplete or of another version"
    )


def test_ambiguous_rows_are_written_with_the_first_text_and_listed(data: Path, tmp_path: Path) -> None:
    for name, texts in {"a": [LONG + "算了"], "b": [LONG + "再等", LONG + "算了。"]}.items():
        folder = data / "datasets" / name
        folder.mkdir()
        pq.write_table(pa.table({"text": texts}), folder / "all.parquet")
    file = labels(tmp_path / "labels", [LONG])
    args = ("--data", data, "--annotations", file)
    report = json.loads(run(*args, "-o", tmp_path / "one", "--json"))
    assert report["files"]["train.jsonl"]["ambiguous"] == {"T0": ["a/all:1", "b/all:1"]}
    assert lines(tmp_path / "one" / "train.jsonl")[0]["text"] == LONG[:300]
    printed = run(*args, "-o", tmp_path / "two")
    assert "Ambiguous: texts that begin alike; the first is taken" in printed
    assert "b/all:1" in printed


def test_the_folder_may_come_from_the_environment(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANKUI_DATA", str(data))
    run("--annotations", labels(tmp_path / "labels", TEXTS), "-o", tmp_path / "out")
    monkeypatch.delenv("FANKUI_DATA")
    error = refusal(ConfigError, "--annotations", labels(tmp_path / "labels", TEXTS), "-o", tmp_path / "other")
    assert (error.code, error.message) == (
        "data_missing",
        "expected a folder that holds datasets/ in --data or FANKUI_DATA; found nothing",
    )


def test_mistakes_of_use_are_told(data: Path, tmp_path: Path) -> None:
    one = labels(tmp_path / "labels", TEXTS)
    two = labels(tmp_path / "others", TEXTS)
    three = labels(tmp_path / "labels", TEXTS, name="dev.jsonl")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert refusal(UsageError, "--data", data, "--annotations", one, "--annotations", two, "-o", out).message == (
        "two annotation files are named train.jsonl; join them one after the other, into two folders"
    )
    both = ("--data", data, "--annotations", one, "--annotations", three)
    assert refusal(UsageError, *both, "-o", tmp_path / "out.jsonl").message == (
        f"2 annotation files do not go into {tmp_path / 'out.jsonl'}; name a folder with --output"
    )
    assert refusal(UsageError, "--data", data, "--annotations", tmp_path / "empty", "-o", out).message == (
        f"expected annotation files (.jsonl) in {tmp_path / 'empty'}; found none"
    )
    # Labels are never written over: their own folder is refused like any other that holds such a file.
    assert refusal(UsageError, *both, "-o", tmp_path / "labels").message == (
        f"{one} exists already; name another place with --output"
    )
    assert refusal(ConfigError, "--data", tmp_path, "--annotations", one, "-o", out).message == (
        f"expected a folder that holds datasets/ in --data or FANKUI_DATA; found {tmp_path}"
    )
    assert not out.exists()


def test_the_shipped_labels_are_joined_by_default(data: Path, tmp_path: Path) -> None:
    error = refusal(DataError, "--data", data, "-o", tmp_path / "out", "--json")
    assert "dev.jsonl: 0 of 776, missing 776" in error.message
    assert "train.jsonl: 0 of 5,979, missing 5,979" in error.message


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert fankui.run(["data", "join", "--help"]) == 0
    assert "fankui data join --data" in capsys.readouterr().out
