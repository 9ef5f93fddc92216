"""`fankui evaluate` and `fankui compare` as they are typed."""

import json
from pathlib import Path

import pytest

import fankui
from models.bundle import write_bundle
from models.calibration import Calibration
from pipeline.feedback import Example
from pipeline.schema import LabelSchema, schema_from_dict
from training.baseline import LinearSettings, fit_linear

OPEN_GATE = '[[rules]]\nfigure = "*"\nat_least = -1\n'
SHUT_GATE = '[[rules]]\nfigure = "sentiment/accuracy"\nat_least = 1.01\n'


@pytest.fixture
def labelled(tmp_path: Path, examples: list[Example]) -> Path:
    path = tmp_path / "labelled.jsonl"
    rows = [{"text": example.text, "source": "own", **example.labels} for example in examples]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def bundle(folder: Path, *, rows: list[Example], schema: LabelSchema) -> str:
    fitted = fit_linear(rows, schema=schema, settings=LinearSettings(min_count=1, strength=50.0))
    write_bundle(
        folder,
        kind="linear",
        name=folder.name,
        schema=schema,
        calibration=Calibration.identity(schema),
        files=fitted.files,
        metrics={},
        card="# small",
    )
    return str(folder)


@pytest.fixture
def learned(tmp_path: Path, examples: list[Example], schema: LabelSchema) -> str:
    return bundle(tmp_path / "learned", rows=examples, schema=schema)


@pytest.fixture
def blank(tmp_path: Path, examples: list[Example], schema: LabelSchema) -> str:
    return bundle(tmp_path / "blank", rows=examples[:3], schema=schema)


def test_evaluate_shows_tables(learned: str, labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fankui.run(["evaluate", str(labelled), "--model", learned, "--draws", "100"]) == 0
    out = capsys.readouterr().out
    assert "learned@" in out
    assert "on 24 rows (test)" in out
    assert "macro_f1" in out


def test_evaluate_prints_one_json_document_and_writes_the_report(
    learned: str, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", learned, "--split", "dev", "--draws", "100", "--json", "-o", str(tmp_path / "report")]
    assert fankui.run(["evaluate", str(labelled), *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["metrics"]["dev/sentiment/accuracy"] > 0.9
    assert document["gate"] is None
    assert (tmp_path / "report" / "card.md").read_text(encoding="utf-8").startswith("# learned@")
    assert (tmp_path / "report" / "plots" / "confusion_urgency.png").is_file()


def test_evaluate_reads_columns_by_other_names(
    learned: str, tmp_path: Path, examples: list[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.csv"
    lines = ["评论,情绪", *(f"{example.text.replace(',', '，')},{example.labels['sentiment']}" for example in examples)]
    path.write_text("\n".join(lines), encoding="gb18030")
    options = [
        "--model",
        learned,
        "--text-column",
        "评论",
        "--label-column",
        "sentiment=情绪",
        "--draws",
        "100",
        "--json",
    ]
    assert fankui.run(["evaluate", str(path), *options]) == 0
    assert set(json.loads(capsys.readouterr().out)["tasks"]) == {"sentiment"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label-column", "sentiment"], "--label-column is TASK=COLUMN, such as sentiment=情感; found 'sentiment'"),
        (["--split", "a/b"], "--split is letters, digits, - and _; found 'a/b'"),
    ],
)
def test_a_mistyped_option_exits_with_two(
    learned: str, labelled: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fankui.run(["evaluate", str(labelled), "--model", learned, *options]) == 2
    assert message in capsys.readouterr().err


def test_a_failed_gate_exits_with_three(
    learned: str, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text(SHUT_GATE, encoding="utf-8")
    options = ["--model", learned, "--draws", "100", "--gate-file", str(gate)]
    assert fankui.run(["evaluate", str(labelled), *options]) == 3
    assert "does not pass the gate: sentiment/accuracy" in capsys.readouterr().err
    gate.write_text(OPEN_GATE, encoding="utf-8")
    assert fankui.run(["evaluate", str(labelled), *options]) == 0


def test_compare_finds_the_model_that_learned(
    blank: str, learned: str, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "differences.png"
    arguments = ["compare", blank, learned, str(labelled), "--draws", "200"]
    assert fankui.run([*arguments, "--json", "--plot", str(plot)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["differences"]["sentiment/macro_f1"]["verdict"] == "better"
    assert plot.is_file()
    assert fankui.run(arguments) == 0
    assert "sentiment/macro_f1" in capsys.readouterr().out


def test_compare_holds_a_worse_candidate_back(
    blank: str, learned: str, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fankui.run(["compare", learned, blank, str(labelled), "--draws", "100", "--gate"]) == 3
    captured = capsys.readouterr()
    assert "gate failed" in captured.out
    assert "of the reference, a loss of at most 0.01 allowed" in captured.err


def test_compare_leaves_out_tasks_whose_labels_differ(
    learned: str,
    tmp_path: Path,
    schema: LabelSchema,
    examples: list[Example],
    capsys: pytest.CaptureFixture[str],
) -> None:
    tasks = schema.to_dict()["tasks"]
    tasks["sentiment"]["labels"] = ["negative", "neutral", "positive", "mixed"]
    other = schema_from_dict({"tasks": {name: tasks[name] for name in ("sentiment", "urgency")}})
    rows = [Example(row.feedback, {"sentiment": "mixed", "urgency": row.labels["urgency"]}) for row in examples]
    file = tmp_path / "mixed.jsonl"
    lines = [{"text": row.feedback.text, **row.labels} for row in rows]
    file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    candidate = bundle(tmp_path / "mixed", rows=rows, schema=other)
    assert fankui.run(["compare", learned, candidate, str(file), "--draws", "100", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["skipped"] == ["sentiment"]
    assert document["headlines"] == ["urgency/qwk"]
    assert fankui.run(["evaluate", str(file), "--model", candidate, "--baseline", learned, "--draws", "100"]) == 0


@pytest.mark.parametrize("verb", ["evaluate", "compare"])
def test_help_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fankui.run([verb, "--help"]) == 0
    assert f"fankui {verb} " in capsys.readouterr().out
