"""Probes: sentences written for this project, each with the behavior that a careful reader expects of any good model.

After CheckList (Ribeiro et al. 2020). `minimum`: the labels of one text are among the accepted ones.
`invariance`: another way to write the same text changes nothing. `direction`: a text that says more moves one figure
one way. A model that always says the same passes the last two: read them beside `minimum`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from models.predictor import Predictor
from pipeline.errors import DataError
from pipeline.feedback import Prediction
from pipeline.schema import POLARITIES, LabelSchema

PROBES = Path(__file__).with_name("probes.jsonl")
CAPABILITIES = ("negation", "sarcasm", "degree", "traditional", "slang", "typos", "mixed")
KINDS = ("minimum", "invariance", "direction")

INVARIANCE_TOLERANCE = 0.2
"""By how much the probability of the label that stays may move: over CheckList's 0.1, as twelve categories share it."""

DIRECTION_TOLERANCE = 0.05
"""How far a figure may move the wrong way, of its whole range."""

FIGURES: Mapping[str, Callable[[Prediction], float]] = {
    "urgency_score": lambda prediction: prediction.scores["urgency"],
    "satisfaction": lambda prediction: ((prediction.satisfaction or 1.0) - 1.0) / 4.0,
    "P(negative)": lambda prediction: prediction.tasks["sentiment"].probabilities["negative"],
}
"""What a direction is told of, each from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """One text and the labels that are accepted for it; tasks that are not named are free."""

    kind: ClassVar[str] = "minimum"
    capability: str
    text: str
    accepted: Mapping[str, frozenset[str]]  # task -> labels
    aspects: Mapping[str, int]  # category -> polarity; more of them may be found

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,)

    def fault(self, predictions: Sequence[Prediction]) -> str:
        """What is wrong, or nothing; `predictions` are of `texts`."""
        (prediction,) = predictions
        found = aspects(prediction)
        faults = [
            f"{task} is {_label(prediction, task)}, not {' or '.join(sorted(labels))}"
            for task, labels in self.accepted.items()
            if _label(prediction, task) not in labels
        ]
        faults += [
            f"{category} is {POLARITIES.get(found.get(category, 2), 'not mentioned')}, not {POLARITIES[polarity]}"
            for category, polarity in self.aspects.items()
            if found.get(category) != polarity
        ]
        return "; ".join(faults)


@dataclass(frozen=True, slots=True)
class Invariance:
    """One text, other ways to write it, and the tasks whose labels stay."""

    kind: ClassVar[str] = "invariance"
    capability: str
    text: str
    variants: tuple[str, ...]
    same: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text, *self.variants)

    def fault(self, predictions: Sequence[Prediction]) -> str:
        """What is wrong, or nothing; `predictions` are of `texts`."""
        base, *others = predictions
        faults = [
            f"variant {i}: {what}"
            for i, other in enumerate(others, 1)
            for task in self.same
            if (what := _moved(task, base, other))
        ]
        return "; ".join(faults)


@dataclass(frozen=True, slots=True)
class Direction:
    """One text, another that says more, and the figure that must not move the wrong way."""

    kind: ClassVar[str] = "direction"
    capability: str
    text: str
    stronger: str
    figure: str
    moves: str  # up | down

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text, self.stronger)

    def fault(self, predictions: Sequence[Prediction]) -> str:
        """What is wrong, or nothing; `predictions` are of `texts`."""
        before, after = (FIGURES[self.figure](prediction) for prediction in predictions)
        gain = after - before if self.moves == "up" else before - after
        if gain >= -DIRECTION_TOLERANCE:
            return ""
        return f"{self.figure} goes from {before:.2f} to {after:.2f}, not {self.moves}"


Probe: TypeAlias = Minimum | Invariance | Direction


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a model fared at one probe."""

    number: int  # the line of the file, from 1
    probe: Probe
    fault: str

    @property
    def passed(self) -> bool:
        return not self.fault


def read_probes(path: Path, schema: LabelSchema) -> tuple[Probe, ...]:
    """All probes of a file, checked; DataError `probe_invalid` names the line and what is wrong with it."""
    probes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            probes.append(_probe(json.loads(line), schema))
        except (KeyError, TypeError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError("probe_invalid", f"{path.name}:{number}: expected a probe; {what}") from None
    return tuple(probes)


def run_probes(predictor: Predictor, probes: Sequence[Probe]) -> list[Outcome]:
    """One outcome a probe; all texts go through the model together."""
    predictions = iter(predictor.predict([text for probe in probes for text in probe.texts]))
    return [
        Outcome(number, probe, probe.fault([next(predictions) for _ in probe.texts]))
        for number, probe in enumerate(probes, 1)
    ]


def tally(outcomes: Iterable[Outcome]) -> dict[tuple[str, str], tuple[int, int]]:
    """(capability, kind) -> how many passed, of how many."""
    passed: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        place = (outcome.probe.capability, outcome.probe.kind)
        passed[place] += outcome.passed
        total[place] += 1
    return {place: (passed[place], total[place]) for place in total}


def aspects(prediction: Prediction) -> dict[str, int]:
    """Category -> polarity of every aspect that was found."""
    return {aspect.category: aspect.polarity for aspect in prediction.aspects["aspects"]}


def _label(prediction: Prediction, task: str) -> str:
    return str(prediction.tasks[task].label)


def _moved(task: str, base: Prediction, other: Prediction) -> str:
    """How the other answer differs from the base's, or nothing."""
    if task == "aspects":
        return "" if aspects(base) == aspects(other) else "other aspects"
    label, found = _label(base, task), _label(other, task)
    if label != found:
        return f"{task} turns from {label} to {found}"
    before, after = (prediction.tasks[task].probabilities[label] for prediction in (base, other))
    return "" if abs(after - before) < INVARIANCE_TOLERANCE else f"P({label}) goes from {before:.2f} to {after:.2f}"


def _probe(row: Mapping[str, Any], schema: LabelSchema) -> Probe:
    kind, capability, text = row["kind"], _one_of(CAPABILITIES, row["capability"]), row["text"]
    rest = {name: value for name, value in row.items() if name not in ("kind", "capability", "text")}
    if _one_of(KINDS, kind) == "minimum":
        return Minimum(capability, text, *_expected(schema, **rest))
    if kind == "invariance":
        tasks = [task.name for task in schema.tasks]
        same = tuple(_one_of(tasks, task) for task in rest.pop("same"))
        return Invariance(capability, text, same=same, variants=tuple(rest.pop("variants")), **rest)
    _one_of(FIGURES, rest["figure"]), _one_of(("up", "down"), rest["moves"])
    return Direction(capability, text, **rest)


def _expected(schema: LabelSchema, *, expect: Mapping[str, Any]) -> tuple[dict[str, frozenset[str]], dict[str, int]]:
    """Accepted labels by task, and aspects. One label may stand for the list of it."""
    if not expect:
        raise ValueError("nothing is expected")
    accepted: dict[str, frozenset[str]] = {}
    levels = schema.task("urgency").keys
    for name, value in expect.items():
        if name in ("urgency_at_least", "urgency_at_most"):
            level = levels.index(_one_of(levels, value))
            within = levels[level:] if name == "urgency_at_least" else levels[: level + 1]
            accepted["urgency"] = accepted.get("urgency", frozenset(levels)) & frozenset(within)
        elif _one_of(("sentiment", "category", "aspects"), name) != "aspects":
            labels = [value] if isinstance(value, str) else value
            accepted[name] = frozenset(_one_of(schema.task(name).keys, label) for label in labels)
    found = {_one_of(schema.task("aspects").keys, name): value for name, value in expect.get("aspects", {}).items()}
    for polarity in found.values():
        _one_of(POLARITIES, polarity)
    return accepted, found


def _one_of(known: Iterable[Any], value: Any) -> Any:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(map(str, known))}")
    return value
