"""Why: the spans of a comment without which its labels would be less probable.

Occlusion: every clause is left out in turn, then every word of the clauses that mattered most; the weight of a span
is how much the label's probability falls without it. No gradients, so it works for every kind of model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from models.decide import chosen_labels, chosen_polarities
from models.heads import Array
from models.predictor import BundlePredictor
from pipeline.prepare import prepare
from pipeline.schema import POLARITIES, Kind, LabelSchema, Task
from pipeline.segment import clauses, words

LEAST = 0.01
"""A smaller fall of a probability is noise, not evidence."""

_CLAUSES = 48  # left out one at a time; a text of more is cut into 48 runs of clauses
_TOP_CLAUSES = 3  # whose words are tried one at a time
_SPANS = 5  # told for each label

_EDGES = " ，。；：、,.;:"  # a clause's, where only its words are shown
_POLARITY_ZH = {"negative": "负面", "neutral": "中性", "positive": "正面"}

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One span that speaks for one label. `label` of an aspect is `category:polarity`."""

    task: str
    label: str
    start: int  # in the raw text, in code points
    end: int
    weight: float  # fall of the label's probability without the span
    text: str = ""  # the words of the span


@dataclass(frozen=True)
class _Target:
    """A label that was given, and how probable it is. `value`: probabilities by task, n rows -> (n,)"""

    task: str
    label: str
    value: Callable[[Mapping[str, Array]], Array]


def explain(predictor: BundlePredictor, text: str) -> list[Evidence]:
    """Evidence for every label given to `text`, task by task in schema order, the heaviest span first.

    Raises TextError for a text that cannot be read.
    """
    prepared = prepare(text)
    base, _, _ = predictor.score([prepared.text])
    targets = [target for task in predictor.schema.tasks for target in _targets(task, base[task.name], predictor)]
    parts = [span for span in _joined(clauses(prepared.text)) if _says_something(prepared.text, span)]
    falls = _falls(predictor, prepared.text, parts, targets, base)
    # A label's words are sought where leaving out the clause hurt that label most.
    wanted = {int(i) for column in falls.T for i in np.argsort(-column)[:_TOP_CLAUSES] if column[i] >= LEAST}
    inside = [span for span in words(prepared.text) if _says_something(prepared.text, span)]
    tried = [span for span in inside if any(parts[i][0] <= span[0] and span[1] <= parts[i][1] for i in wanted)]
    word_falls = _falls(predictor, prepared.text, tried, targets, base)
    found = []
    for j, target in enumerate(targets):
        spans = _choose(parts, falls[:, j], tried, word_falls[:, j])
        for span, weight in spans:
            start, end = prepared.raw_span(*span)
            found.append(Evidence(target.task, target.label, start, end, weight, text[start:end]))
    return found


def told(schema: LabelSchema, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """Evidence for programs, `items`, and for people, `shown`: `负面: 三天没到 +0.41; 物流 负面: 没到 +0.3`.

    As JSON has it.
    """
    spans: dict[str, list[str]] = {}
    for one in evidence:
        words = " ".join(one.text.split()).strip(_EDGES) or one.text
        spans.setdefault(_shown(schema.task(one.task), one.label), []).append(f"{words} {one.weight:+.2f}")
    shown = "; ".join(f"{label}: {', '.join(found)}" for label, found in spans.items())
    return {"shown": shown, "items": [asdict(one) for one in evidence]}


def _shown(task: Task, label: str) -> str:
    if task.kind is not Kind.ASPECT:
        return task.label(label).zh
    category, _, polarity = label.rpartition(":")
    return f"{task.label(category).zh} {_POLARITY_ZH[polarity]}"


def _choose(parts: Sequence[Span], falls: Array, tried: Sequence[Span], word_falls: Array) -> list[tuple[Span, float]]:
    """The words of a clause where they carry it; the clause itself where no single word does."""
    chosen: list[tuple[Span, float]] = []
    for i in np.argsort(-falls)[:_TOP_CLAUSES]:
        if falls[i] < LEAST:
            break
        start, end = parts[i]
        mine = [j for j, (low, high) in enumerate(tried) if start <= low and high <= end and word_falls[j] >= LEAST]
        heavy = [j for j in mine if word_falls[j] >= falls[i] / 4]
        chosen += [(tried[j], round(float(word_falls[j]), 6)) for j in heavy] or [(parts[i], round(float(falls[i]), 6))]
    return sorted(chosen, key=lambda pair: (-pair[1], pair[0]))[:_SPANS]


def _falls(
    predictor: BundlePredictor,
    text: str,
    spans: Sequence[Span],
    targets: Sequence[_Target],
    base: Mapping[str, Array],
) -> Array:
    """How much each label's probability falls without each span: (spans, targets)."""
    if not spans or not targets:
        return np.zeros((len(spans), len(targets)))
    # A model cannot read nothing, so of a text that is one span a full stop remains.
    without, _, _ = predictor.score([text[:start] + text[end:] or "。" for start, end in spans])
    return np.stack([target.value(base) - target.value(without) for target in targets], axis=1)


def _targets(task: Task, row: Array, predictor: BundlePredictor) -> list[_Target]:
    """The labels given for one task. `row`: (1, k), for an aspect task (1, c, 4)."""
    settings = predictor.calibration.task(task.name)
    if task.kind is Kind.ASPECT:
        polarities = chosen_polarities(row, settings)[0]
        return [
            _Target(
                task.name,
                f"{task.keys[i]}:{POLARITIES[int(polarities[i])]}",
                lambda probs, i=i, state=int(polarities[i]) + 2: probs[task.name][:, i, state],  # type: ignore[misc]
            )
            for i in np.flatnonzero(polarities > -2)
        ]
    (chosen,) = chosen_labels(task, row, settings)
    # Of an ordinal level above the lowest the question is why not lower, so its value is P(y >= level).
    several = task.kind is Kind.ORDINAL and chosen[0] > 0
    return [
        _Target(
            task.name,
            task.keys[i],
            lambda probs, i=i: probs[task.name][:, i:].sum(axis=1) if several else probs[task.name][:, i],  # type: ignore[misc]
        )
        for i in chosen
    ]


def _joined(spans: Sequence[Span]) -> list[Span]:
    """At most _CLAUSES runs of neighbouring spans."""
    if len(spans) <= _CLAUSES:
        return list(spans)
    edges = np.linspace(0, len(spans), _CLAUSES + 1).astype(int)
    return [(spans[a][0], spans[b - 1][1]) for a, b in pairwise(edges)]


def _says_something(text: str, span: Span) -> bool:
    return any(character.isalnum() for character in text[span[0] : span[1]])
