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
from training.gate import Figures, Gate, Verdict, check_gate
from training.scored import score_examples


def promote(
    model: str, *, home: Path, gate: Gate | None, examples: Sequence[Example] = (), against: str | None = None
) -> tuple[Champion, Verdict | None]:
    """Make `model` the champion if it passes `gate`; without a gate it is moved as it is.

    With `examples` both models are measured on them; without, only the bounds of the gate are held against the
    figures that the bundle kept from its training. Raises GateFailed before anything is moved.
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
    if not examples:
        return check_gate(Figures(_version(candidate), bundle.schema, bundle.json("metrics.json")), None, gate)
    reference = _reference(bundle, home=home, against=against)
    mine = _measured(ResolvedModel(bundle.path, _version(candidate), "option"), examples)
    return check_gate(mine, _measured(reference, examples) if reference else None, gate)


def _reference(bundle: ModelBundle, *, home: Path, against: str | None) -> ResolvedModel | None:
    """None where nothing here answers the same questions: then only the gate's bounds count."""
    if against is not None:
        return resolve_model(against)
    champion = read_champion(home)
    if champion is not None and champion.digest != bundle.digest:
        return ResolvedModel(champion.folder(home), _version(champion), "champion", champion.digest)
    try:
        shipped = resolve_model(DEFAULT)
    except BundleError:
        return None
    return shipped if open_bundle(shipped.path).schema.digest == bundle.schema.digest else None


def _measured(model: ResolvedModel, examples: Sequence[Example]) -> Figures:
    scored = score_examples(load_predictor(model), examples)
    return Figures(scored.model_version, scored.schema, scored.metrics("test"))


def _version(champion: Champion) -> str:
    return f"{champion.name}/{champion.version}"
