"""tests/behaviour/probes.py: the probes are sound, and the shipped model passes its share of each capability."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.loading import load_predictor
from models.resolving import DEFAULT, resolve_model
from pipeline.duplicates import jaccard, near_duplicate_groups, text_key
from pipeline.errors import DataError
from pipeline.feedback import AspectPrediction, Prediction, TaskPrediction
from pipeline.resources import shipped
from pipeline.schema import LabelSchema
from tests.behaviour.probes import (
    CAPABILITIES,
    KINDS,
    PROBES,
    Direction,
    Invariance,
    Minimum,
    Outcome,
    Probe,
    read_probes,
    run_probes,
    tally,
)

FLOORS = tomllib.loads(Path(__file__).with_name("floors.toml").read_text(encoding="utf-8"))["floors"]


@pytest.fixture(scope="module")
def probes(schema: LabelSchema) -> tuple[Probe, ...]:
    return read_probes(PROBES, schema)


@pytest.fixture(scope="module")
def outcomes(probes: tuple[Probe, ...]) -> list[Outcome]:
    """What the shipped default model makes of them."""
    return run_probes(load_predictor(resolve_model(DEFAULT), threads=1), probes)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_the_shipped_model_passes_its_share(capability: str, outcomes: list[Outcome]) -> None:
    mine = [outcome for outcome in outcomes if outcome.probe.capability == capability]
    failed = [outcome.number for outcome in mine if not outcome.passed]
    rate = 1 - len(failed) / len(mine)
    assert rate >= FLOORS[capability], (
        f"{capability}: {rate:.3f} of the probes pass, at least {FLOORS[capability]} must; "
        f"lines of probes.jsonl that fail: {failed}"
    )


def test_every_capability_has_a_floor() -> None:
    assert tuple(FLOORS) == CAPABILITIES
    assert all(0 < floor < 1 for floor in FLOORS.values())


def test_there_are_enough_of_every_kind(probes: tuple[Probe, ...]) -> None:
    assert len(probes) == 300
    counts = {(capability, kind): 0 for capability in CAPABILITIES for kind in KINDS}
    for probe in probes:
        counts[probe.capability, probe.kind] += 1
    assert min(counts.values()) >= 4
    for capability in CAPABILITIES:
        assert sum(counts[capability, kind] for kind in KINDS) in (42, 43)


def test_no_text_stands_twice(probes: tuple[Probe, ...]) -> None:
    texts = [text for probe in probes for text in probe.texts]
    assert len(set(texts)) == len(texts)
    assert all(text == text.strip() and "\n" not in text for text in texts)


def test_no_two_minimum_texts_are_near_duplicates(probes: tuple[Probe, ...]) -> None:
    texts = [probe.text for probe in probes if isinstance(probe, Minimum)]
    assert len(set(near_duplicate_groups(texts, threshold=0.9))) == len(texts)


def test_none_is_a_text_that_the_samples_teach(probes: tuple[Probe, ...]) -> None:
    samples = [
        text_key(json.loads(line)["text"])
        for part in ("train", "dev", "test")
        for line in shipped("data", "samples", f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    known = {gram for key in samples for gram in _grams(key)}
    # A text is like another only where most of its trigrams are anywhere among them: few are left to compare.
    for text in (text_key(text) for probe in probes for text in probe.texts):
        grams = _grams(text)
        if len(grams & known) >= 0.6 * len(grams):
            assert max(jaccard(text, sample) for sample in samples) < 0.6, text


def test_none_is_a_text_of_the_public_sets(probes: tuple[Probe, ...], shared_data: Path) -> None:
    public = {
        text_key(json.loads(line)["text"])
        for part in ("train", "dev")
        for line in (shared_data / "triage" / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    }
    assert [text for probe in probes for text in probe.texts if text_key(text) in public] == []


def _grams(key: str) -> set[str]:
    return {key[i : i + 3] for i in range(len(key) - 2)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"kind": "maximum"}, "'maximum' is none of minimum, invariance, direction"),
        ({"capability": "irony"}, f"'irony' is none of {', '.join(CAPABILITIES)}"),
        ({"expect": {}}, "nothing is expected"),
        ({"expect": {"sentiment": "angry"}}, "'angry' is none of negative, neutral, positive"),
        ({"expect": {"mood": "negative"}}, "'mood' is none of sentiment, category, aspects"),
        ({"expect": {"urgency_at_least": "soon"}}, "'soon' is none of low, medium, high, critical"),
        ({"expect": {"aspects": {"price": 2}}}, "2 is none of -1, 0, 1"),
        ({"kind": "direction"}, "no 'figure'"),
        ({"kind": "invariance", "same": ["mood"]}, "'mood' is none of sentiment, category, aspects, urgency"),
    ],
)
def test_a_bad_line_is_named(row: dict[str, Any], message: str, schema: LabelSchema, tmp_path: Path) -> None:
    good = {"kind": "minimum", "capability": "degree", "text": "好", "expect": {"sentiment": "positive"}}
    path = tmp_path / "some.jsonl"
    path.write_text(f"{json.dumps(good)}\n{json.dumps(good | row)}\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_probes(path, schema)
    assert caught.value.code == "probe_invalid"
    assert caught.value.message == f"some.jsonl:2: expected a probe; {message}"


@pytest.fixture
def say() -> Callable[..., Prediction]:
    """`say(0.7, price=-1)`: negative with that probability, else positive; low; and those aspects."""

    def answer(negative: float, **aspects: int) -> Prediction:
        label = "negative" if negative >= 0.5 else "positive"
        sentiment = {"negative": negative, "neutral": 0.0, "positive": 1 - negative}
        urgency = {"low": 1.0, "medium": 0.0, "high": 0.0, "critical": 0.0}
        found = tuple(AspectPrediction(name, polarity, 1.0, 1.0, {}, 3.0) for name, polarity in aspects.items())
        return Prediction(
            tasks={
                "sentiment": TaskPrediction(label, sentiment[label], sentiment),
                "urgency": TaskPrediction("low", 1.0, urgency),
            },
            aspects={"aspects": found},
            model_version="said",
            scores={"urgency": 0.0},
            satisfaction=1 + 4 * (1 - negative),
        )

    return answer


def test_minimum_wants_every_label_that_it_names(say: Callable[..., Prediction]) -> None:
    probe = Minimum("mixed", "贵", {"sentiment": frozenset({"negative", "neutral"})}, {"price": -1})
    assert probe.fault([say(0.9, price=-1, product=1)]) == ""
    assert probe.fault([say(0.1)]) == (
        "sentiment is positive, not negative or neutral; price is not mentioned, not negative"
    )
    assert probe.fault([say(0.9, price=0)]) == "price is neutral, not negative"


def test_urgency_is_a_range_of_levels(schema: LabelSchema, say: Callable[..., Prediction], tmp_path: Path) -> None:
    expect = {"urgency_at_least": "medium", "urgency_at_most": "high"}
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"kind": "minimum", "capability": "degree", "text": "慢", "expect": expect}))
    (probe,) = read_probes(path, schema)
    assert isinstance(probe, Minimum)
    assert probe.accepted == {"urgency": {"medium", "high"}}
    assert probe.fault([say(0.9)]) == "urgency is low, not high or medium"


def test_invariance_keeps_the_label_and_nearly_its_probability(say: Callable[..., Prediction]) -> None:
    probe = Invariance("typos", "慢", ("漫", "曼"), ("sentiment", "aspects"))
    assert probe.fault([say(0.8), say(0.9), say(0.7)]) == ""
    assert probe.fault([say(0.8), say(0.55), say(0.4)]) == (
        "variant 1: P(negative) goes from 0.80 to 0.55; variant 2: sentiment turns from negative to positive"
    )
    assert probe.fault([say(0.8, price=1), say(0.8, price=1), say(0.8, price=0)]) == "variant 2: other aspects"


def test_direction_fails_only_the_wrong_way(say: Callable[..., Prediction]) -> None:
    up = Direction("degree", "慢", "很慢", "P(negative)", "up")
    assert up.fault([say(0.7), say(0.9)]) == ""
    assert up.fault([say(0.7), say(0.66)]) == ""
    assert up.fault([say(0.7), say(0.6)]) == "P(negative) goes from 0.70 to 0.60, not up"
    down = Direction("degree", "慢", "很慢", "satisfaction", "down")
    assert down.fault([say(0.7), say(0.9)]) == ""
    assert down.fault([say(0.7), say(0.6)]) == "satisfaction goes from 0.30 to 0.40, not down"


def test_tally_counts_by_capability_and_kind(say: Callable[..., Prediction]) -> None:
    one = Minimum("typos", "漫", {}, {})
    other = Direction("typos", "慢", "很慢", "P(negative)", "up")
    outcomes = [Outcome(1, one, ""), Outcome(2, one, "sentiment"), Outcome(3, other, "")]
    assert tally(outcomes) == {("typos", "minimum"): (1, 2), ("typos", "direction"): (1, 1)}
