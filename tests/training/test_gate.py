"""The gate: bounds, losses against a reference, and files that make no sense."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError, GateFailed
from pipeline.schema import LabelSchema, schema_from_dict
from training.gate import Figures, Gate, Rule, check_gate, load_gate

GOOD = {
    "sentiment/rows": 150.0,
    "sentiment/macro_f1": 0.8,
    "sentiment/ece": 0.05,
    "category/rows": 150.0,
    "category/macro_f1": 0.6,
    "category/ece": 0.05,
    "aspects/rows": 150.0,
    "aspects/f1": 0.6,
    "aspects/ece": 0.05,
    "urgency/rows": 150.0,
    "urgency/qwk": 0.7,
    "urgency/recall.alert": 0.7,
    "urgency/ece": 0.05,
}


def model(schema: LabelSchema, *, version: str = "new@2", split: str = "test", **changed: float) -> Figures:
    """Figures of a good model with some changed; `urgency__qwk=0.6` stands for urgency/qwk."""
    figures = GOOD | {name.replace("__", "/").replace("_alert", ".alert"): value for name, value in changed.items()}
    return Figures(version, schema, {f"{split}/{name}": value for name, value in figures.items()})


def test_the_shipped_gate_passes_a_good_model_with_and_without_reference(schema: LabelSchema) -> None:
    alone = check_gate(model(schema), None, load_gate())
    assert alone.passed
    assert alone.reference is None
    beside = check_gate(model(schema), model(schema, version="old@1"), load_gate())
    assert beside.passed
    assert len(beside.checks) == len(alone.checks) + 5  # four headlines and the alert recall


def test_a_loss_beyond_the_allowed_fails_and_names_the_figure(schema: LabelSchema) -> None:
    verdict = check_gate(model(schema, urgency__qwk=0.66), model(schema, version="old@1"), load_gate())
    with pytest.raises(GateFailed) as caught:
        verdict.require()
    assert caught.value.code == "gate_failed"
    assert caught.value.message == (
        "new@2 does not pass the gate: urgency/qwk 0.660 against 0.700 of the reference, a loss of at most 0.01 allowed"
    )


def test_a_loss_of_exactly_the_allowed_passes(schema: LabelSchema) -> None:
    gate = Gate((Rule("urgency/qwk", max_loss=0.01),))
    assert check_gate(model(schema, urgency__qwk=0.69), model(schema, urgency__qwk=0.70), gate).passed


def test_a_loss_of_an_error_figure_is_a_rise(schema: LabelSchema) -> None:
    gate = Gate((Rule("*/ece", max_loss=0.01),))
    assert check_gate(model(schema, urgency__ece=0.01), model(schema), gate).passed
    assert not check_gate(model(schema, urgency__ece=0.07), model(schema), gate).passed


def test_bounds_hold_without_a_reference(schema: LabelSchema) -> None:
    failed = check_gate(model(schema, urgency__qwk=0.05, aspects__ece=0.2), None, load_gate())
    assert [check.message for check in failed.checks if not check.passed] == [
        "aspects/ece 0.200, at most 0.15 wanted",
        "urgency/qwk 0.050, at least 0.1 wanted",
    ]


def test_a_bounded_figure_that_was_not_measured_fails(schema: LabelSchema) -> None:
    verdict = check_gate(model(schema), None, Gate((Rule("urgency/f1.critical", at_least=0.1),)))
    assert verdict.checks[0].message == "urgency/f1.critical was not measured (no such labels in the rows)"
    assert not verdict.passed


def test_rules_for_tasks_that_the_model_lacks_are_passed_over() -> None:
    intents = schema_from_dict({"tasks": {"intent": {"kind": "single", "labels": ["ask", "buy"]}}})
    measured = Figures("i@1", intents, {"dev/intent/rows": 9, "dev/intent/macro_f1": 0.9, "dev/intent/ece": 0.1})
    verdict = check_gate(measured, measured, load_gate())
    assert [check.figure for check in verdict.checks] == ["intent/macro_f1", "intent/ece"]
    assert verdict.unapplied[0] == "urgency/recall.alert: no such figure was measured"
    assert len(verdict.unapplied) == 5


def test_a_model_of_which_nothing_is_known_fails(schema: LabelSchema) -> None:
    verdict = check_gate(Figures("m@1", schema, {}), None, Gate((Rule("*", max_loss=0.01),)))
    assert not verdict.passed
    with pytest.raises(GateFailed) as caught:
        verdict.require()
    assert caught.value.message == (
        "m@1 does not pass the gate: no rule could be applied; *: no such figure was measured; max_loss: no "
        "model answers the same tasks; name one, such as "
        "a linear baseline (promote --against MODEL, evaluate --baseline MODEL)"
    )


def test_a_figure_that_the_reference_lacks_is_told(schema: LabelSchema) -> None:
    reference = Figures("old@1", schema, {"test/urgency/rows": 9.0, "test/urgency/qwk": 0.5})
    verdict = check_gate(model(schema), reference, Gate((Rule("*", max_loss=0.01),)))
    assert [check.figure for check in verdict.checks] == ["urgency/qwk"]
    assert verdict.to_dict()["unapplied"] == [
        f"{name}: not measured on both models with the same labels"
        for name in ("sentiment/macro_f1", "category/macro_f1", "aspects/f1")
    ]


def test_test_rows_count_before_dev_rows(schema: LabelSchema) -> None:
    both = Figures(
        "m@1", schema, {"dev/urgency/rows": 9, "test/urgency/rows": 9, "dev/urgency/qwk": 0.9, "test/urgency/qwk": 0.2}
    )
    verdict = check_gate(both, None, Gate((Rule("*", at_least=0.5),)))
    assert verdict.checks[0].message == "urgency/qwk 0.200, at least 0.5 wanted"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "gate file {path} needs tables [[rules]] and nothing else"),
        ("[[rules]]\nmax_loss = 1", '{path} rule 1: expected figure = "task/figure"'),
        (
            '[[rules]]\nfigure = "*"\nmin = 1',
            "{path} rule 1: unknown key 'min'; known: figure, at_least, at_most, max_loss",
        ),
        ('[[rules]]\nfigure = "*"', "{path} rule 1: expected numbers for at_least, at_most or max_loss"),
        (
            '[[rules]]\nfigure = "*"\nat_least = true',
            "{path} rule 1: expected numbers for at_least, at_most or max_loss",
        ),
    ],
)
def test_a_gate_file_that_makes_no_sense_is_told(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_gate(path)
    assert caught.value.code == "gate_invalid"
    assert caught.value.message == message.format(path=path)


def test_a_missing_gate_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_gate(tmp_path / "none.toml")
    assert caught.value.message == f"gate file {tmp_path / 'none.toml'} does not exist; give --gate-file FILE.toml"
