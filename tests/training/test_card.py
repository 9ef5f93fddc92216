"""The model card says what was found, and what was not."""

from dataclasses import replace
from typing import Any

import numpy as np

from models.calibration import Calibration, TaskCalibration
from pipeline.routing import NEVER
from pipeline.schema import schema_from_dict
from training.card import model_card
from training.evaluate import report_on


def test_the_card_holds_figures_with_intervals_labels_and_slices(make_scored: Any) -> None:
    report = report_on(make_scored(), reference=make_scored(skill=1.0, seed=1, version="old@1"), draws=100)
    card = model_card(report, name="triage", kind="linear", facts={"rows": "900 of data/samples/train.jsonl"})
    found = report.intervals["test/urgency/qwk"]
    assert card.startswith("# triage\n\nA linear model for Chinese customer feedback.")
    assert f"| urgency | **qwk** | {found.value:.3f} | [{found.low:.3f}, {found.high:.3f}] |" in card
    assert "- rows: 900 of data/samples/train.jsonl" in card
    assert "Reference `old@1`, on the same 300 rows." in card
    assert "| logistics | 物流配送 |" in card
    assert "| source=shop | 150 |" in card
    assert "nan" not in card


def test_the_card_admits_rare_and_unseen_labels_and_unreached_precision(make_scored: Any) -> None:
    scored = make_scored(rows=60)
    gold = dict(scored.gold) | {"urgency": np.array([0] * 50 + [3] * 10)}
    never = Calibration({"category": TaskCalibration(auto=NEVER)})
    card = model_card(report_on(replace(scored, gold=gold, calibration=never), draws=100), name="m", kind="network")
    assert "- `urgency`: fewer than 20 rows of `critical`; their figures are weak evidence." in card
    assert "- `urgency`: no row of `medium`, `high`; nothing is known of them." in card
    assert "- `category`: the wanted precision was never reached, so nothing is decided unseen." in card
    assert "| category | auto | never | 0.000 |  |" in card


def test_the_card_tells_few_rows_from_unreached_precision(make_scored: Any) -> None:
    never = Calibration({"category": TaskCalibration(auto=NEVER), "urgency": TaskCalibration(auto=NEVER)})
    report = report_on(replace(make_scored(rows=60), calibration=never), draws=2)
    card = model_card(report, name="m", kind="network", few=("urgency",))
    assert "- `urgency`: calibrated on fewer than 50 rows, so nothing is decided unseen." in card
    assert "- `category`: the wanted precision was never reached, so nothing is decided unseen." in card


def test_a_task_that_is_named_like_its_key_is_named_once(make_scored: Any) -> None:
    tasks = {
        "issue": {"kind": "single", "labels": ["late", "broken"]},
        "mood": {"kind": "single", "zh": "心情", "labels": ["good", "bad"]},
    }
    labels = schema_from_dict({"tasks": tasks})
    card = model_card(report_on(make_scored(rows=40, labels=labels), draws=2), name="m", kind="linear")
    assert "\n### issue\n" in card
    assert "\n### mood 心情\n" in card


def test_no_facts_and_no_reference_leave_no_empty_section(make_scored: Any) -> None:
    card = model_card(report_on(make_scored(), draws=100), name="m", kind="network")
    assert "## Training" not in card
    assert "## Beside the reference" not in card
    assert "\n\n\n" not in card
