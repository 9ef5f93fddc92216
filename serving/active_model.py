"""A model that is loaded and may answer."""

from dataclasses import dataclass
from datetime import UTC, datetime

from models.loading import ResolvedModel, open_model, read_predictor
from models.predictor import BundlePredictor
from pipeline.errors import BundleError, FeedbackError
from serving.repeats import RepeatPredictor
from serving.scoring import PROBE
from serving.terms import Terms


@dataclass(frozen=True)
class ActiveModel:
    """A model that was loaded and has answered the probe. Every answer is one such model's from beginning to end."""

    predictor: BundlePredictor
    resolved: ResolvedModel
    name: str
    kind: str
    digest: str
    loaded_at: datetime
    repeats: RepeatPredictor | None  # the same, with answers to comments that came before

    @property
    def version(self) -> str:
        return self.predictor.model_version


def load_active(
    resolved: ResolvedModel, *, threads: int | None, cache: int = 0, terms: Terms | None = None
) -> ActiveModel:
    """Open, check and try a model, which has to fulfil the `terms`. `cache`: comments whose answers are kept.

    Raises BundleError, `model_failed` where it cannot answer the probe, and what the terms raise.
    """
    terms = terms or Terms()
    bundle = open_model(resolved)
    terms.check_labels(bundle.schema)
    predictor = read_predictor(bundle, registered=resolved.version, threads=threads)
    if any(isinstance(answer, FeedbackError) for answer in predictor.predict_each([PROBE.text])):
        raise BundleError("model_failed", f"the model at {resolved.path} cannot score a plain comment; choose another")
    terms.check_answers(predictor)
    return ActiveModel(
        predictor=predictor,
        resolved=resolved,
        name=bundle.name,
        kind=bundle.kind,
        digest=bundle.digest,
        loaded_at=datetime.now(UTC),
        repeats=RepeatPredictor(predictor, entries=cache) if cache else None,
    )
