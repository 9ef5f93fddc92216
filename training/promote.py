"""Promotion with the gate before it: measured beside the champion on the same rows, then moved, or not moved at all."""

from collections.abc import Sequence
from pathlib import Path

from models.bundle import ModelBundle, open_bundle
from models.champion import Champion, read_champion
from models.loading import ResolvedModel, load_predictor
from models.promotion import fetch
from models.promotion import promote as move
from models.resolving import DEFAULT, resolve_model
from pipeline.errors import BundleError
from pipeline.feedback import Example
from pipeline.schema import LabelSchema
from training.gate import Figures, Gate, Verdict, check_gate
from training.scored import common_tasks, score_examples


def promote(
    model: str, *, home: Path, gate: Gate | None, examples: Sequence[Example] = (), against: str | None = None
) -> tuple[Champion, Verdict | None]:
    """Make `model` the champion if it passes `gate` on `examples`; without a gate it is moved as it is.

    Raises GateFailed before anything is moved; DataError `nothing_to_evaluate` for a gate without labelled examples.
    """
    candidate = fetch(model, home=home)
    verdict = None
    if gate is not None:
        verdict = judge(candidate, home=home, gate=gate, examples=examples, against=against)
        verdict.require()
    return move(model, home=home), verdict


def judge(
    candidate: Champion, *, home: Path, gate: Gate, examples: Sequence[Example], against: str | None = None
) -> Verdict:
    """What the gate says of a candidate beside `against`, else the champion, else the shipped linear baseline."""
    bundle = open_bundle(candidate.folder(home))
    mine = _measured(ResolvedModel(bundle.path, _version(candidate), "option"), examples, labels=bundle.schema)
    reference = _reference(bundle, home=home, examples=examples, against=against)
    return check_gate(mine, _measured(reference, examples, labels=bundle.schema) if reference else None, gate)


def _reference(
    bundle: ModelBundle, *, home: Path, examples: Sequence[Example], against: str | None
) -> ResolvedModel | None:
    """None where nothing here answers one of the same questions: then only the gate's bounds count."""
    if against is not None:
        return resolve_model(against)
    champion = read_champion(home)
    if champion is not None and champion.digest != bundle.digest:
        present = ResolvedModel(champion.folder(home), _version(champion), "champion", champion.digest)
        if _answers(present, bundle.schema, examples):
            return present
    try:
        shipped = resolve_model(DEFAULT)
    except BundleError:
        return None
    return shipped if _answers(shipped, bundle.schema, examples) else None


def _answers(model: ResolvedModel, labels: LabelSchema, examples: Sequence[Example]) -> bool:
    """Whether the model has a task with the same labels for which there are labelled rows."""
    tasks = common_tasks(open_bundle(model.path).schema, labels)
    return any(task.name in example.labels for example in examples for task in tasks)


def _measured(model: ResolvedModel, examples: Sequence[Example], *, labels: LabelSchema) -> Figures:
    scored = score_examples(load_predictor(model), examples, labels=labels)
    return Figures(scored.model_version, scored.schema, scored.metrics("test"))


def _version(champion: Champion) -> str:
    return f"{champion.name}/{champion.version}"
