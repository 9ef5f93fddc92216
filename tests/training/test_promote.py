"""training/promote.py and its command: the gate decides, and nothing moves when it says no."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import fankui
from models.bundle import ModelBundle, write_bundle
from models.calibration import Calibration
from models.champion import read_champion
from pipeline.errors import DataError, GateFailed
from pipeline.feedback import Example
from pipeline.schema import LabelSchema, schema_from_dict
from training.baseline import LinearSettings, fit_linear
from training.gate import Gate, Rule
from training.promote import promote

MakeBundle = Callable[..., ModelBundle]
NO_WORSE = Gate((Rule("sentiment/macro_f1", max_loss=0.0),))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FANKUI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def fitted(tmp_path: Path, schema: LabelSchema) -> MakeBundle:
    def make(name: str, rows: list[Example], schema: LabelSchema = schema) -> ModelBundle:
        model = fit_linear(rows, schema=schema, settings=LinearSettings(ngrams=(1, 2), min_count=1))
        return write_bundle(
            tmp_path / name,
            kind="linear",
            name=name,
            schema=schema,
            calibration=Calibration.identity(schema),
            files=model.files,
            metrics={},
            card="# card\n",
        )

    return make


@pytest.fixture
def good(fitted: MakeBundle, examples: list[Example]) -> ModelBundle:
    return fitted("good", examples)


@pytest.fixture
def poor(fitted: MakeBundle, examples: list[Example]) -> ModelBundle:
    """Learnt that everything is positive."""
    return fitted("poor", [example for example in examples if example.labels["sentiment"] == "positive"])


def test_a_worse_model_does_not_replace_the_champion(
    home: Path, good: ModelBundle, poor: ModelBundle, examples: list[Example]
) -> None:
    promote(str(good.path), home=home, gate=None)
    with pytest.raises(GateFailed) as error:
        promote(str(poor.path), home=home, gate=NO_WORSE, examples=examples)
    assert error.value.code == "gate_failed"
    assert "of the reference, a loss of at most 0 allowed" in error.value.message
    champion = read_champion(home)
    assert champion is not None
    assert champion.name == "good"


def test_a_better_model_replaces_it_and_the_verdict_names_both(
    home: Path, good: ModelBundle, poor: ModelBundle, examples: list[Example]
) -> None:
    promote(str(poor.path), home=home, gate=None)
    champion, verdict = promote(str(good.path), home=home, gate=NO_WORSE, examples=examples)
    assert champion.name == "good"
    assert verdict is not None
    assert verdict.reference is not None
    assert verdict.reference.startswith("poor/")


def test_another_reference_can_be_named(
    home: Path, good: ModelBundle, poor: ModelBundle, examples: list[Example]
) -> None:
    with pytest.raises(GateFailed):
        promote(str(poor.path), home=home, gate=NO_WORSE, examples=examples, against=str(good.path))


def test_a_gate_needs_rows(home: Path, good: ModelBundle) -> None:
    with pytest.raises(DataError) as error:
        promote(str(good.path), home=home, gate=NO_WORSE)
    assert error.value.code == "nothing_to_evaluate"
    assert read_champion(home) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            [],
            "say what to measure it on: --on FILE with labelled rows; or --no-gate to promote it unmeasured",
        ),
        (["--no-gate", "--on", "x.csv"], "--no-gate measures nothing; leave it out, or leave out what is to measure"),
    ],
)
def test_the_command_wants_rows_or_no_gate(
    home: Path, good: ModelBundle, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fankui.run(["promote", str(good.path), *options]) == 2
    assert capsys.readouterr().err == f"fankui: {message}\n"
    assert read_champion(home) is None


def test_a_champion_with_other_labels_is_held_against_where_the_labels_are_the_same(
    home: Path, fitted: MakeBundle, good: ModelBundle, schema: LabelSchema, examples: list[Example]
) -> None:
    """The champion's sentiment knows no `mixed`; urgency is the same in both."""
    promote(str(good.path), home=home, gate=None)
    tasks = schema.to_dict()["tasks"]
    tasks["sentiment"]["labels"] = ["negative", "neutral", "positive", "mixed"]
    other = schema_from_dict({"tasks": {name: tasks[name] for name in ("sentiment", "urgency")}})
    moods = ["mixed" if i % 4 == 0 else str(row.labels["sentiment"]) for i, row in enumerate(examples)]
    rows = [
        Example(row.feedback, {"sentiment": mood, "urgency": row.labels["urgency"]})
        for row, mood in zip(examples, moods, strict=True)
    ]
    _, verdict = promote(
        str(fitted("other", rows, other).path), home=home, gate=Gate((Rule("*", max_loss=1.0),)), examples=rows
    )
    assert verdict is not None
    assert verdict.reference is not None
    assert verdict.reference.startswith("good/")
    assert [check.figure for check in verdict.checks] == ["urgency/qwk"]
    assert verdict.unapplied == ("sentiment/macro_f1: not measured on both models with the same labels",)


def test_without_any_model_for_the_same_tasks_a_reference_is_asked_for(
    home: Path, fitted: MakeBundle, examples: list[Example]
) -> None:
    own = schema_from_dict({"tasks": {"sentiment": {"kind": "single", "labels": ["negative", "other"]}}})
    rows = [
        Example(row.feedback, {"sentiment": "negative" if row.labels["sentiment"] == "negative" else "other"})
        for row in examples
    ]
    bundle = fitted("own", rows, own)
    with pytest.raises(GateFailed, match=r"no rule could be applied; .*promote --against MODEL"):
        promote(str(bundle.path), home=home, gate=Gate((Rule("*", max_loss=0.01),)), examples=rows)
    assert read_champion(home) is None


def test_the_command_exits_with_3_and_with_0(
    home: Path, good: ModelBundle, poor: ModelBundle, examples: list[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = home.parent / "rows.jsonl"
    lines = [json.dumps({"text": e.text, "mood": e.labels["sentiment"]}, ensure_ascii=False) for e in examples]
    rows.write_text("\n".join(lines), encoding="utf-8")
    gate = home.parent / "gate.toml"
    gate.write_text('[[rules]]\nfigure = "sentiment/macro_f1"\nmax_loss = 0.0\n', encoding="utf-8")
    options = ["--on", str(rows), "--label-column", "sentiment=mood", "--gate-file", str(gate)]
    assert fankui.run(["promote", str(good.path), "--no-gate"]) == 0
    assert fankui.run(["promote", str(poor.path), *options]) == 3
    assert capsys.readouterr().err.startswith("fankui: poor/")
    shutil.rmtree(home)
    assert fankui.run(["promote", str(good.path), *options, "--against", str(poor.path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["champion"] == f"good/sha-{good.digest[:12]}"
    assert document["gate"]["passed"] is True
