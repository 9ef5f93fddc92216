"""A model and the policy that decides by its answers, opened together for a command."""

from pathlib import Path

from models.loading import ResolvedModel, load_predictor
from models.predictor import BundlePredictor
from models.resolving import resolve_model
from pipeline.routing import RoutingPolicy, load_policy


def load_routed(
    model: str | None, routing: Path | None, *, threads: int | None = None
) -> tuple[ResolvedModel, BundlePredictor, RoutingPolicy]:
    """The model of that name, or the one in service, and the policy of that file, or the shipped one.

    Raises BundleError, and ConfigError also where a file's policy does not fit the model's labels.
    """
    policy = load_policy(routing)
    resolved = resolve_model(model)
    predictor = load_predictor(resolved, threads=threads)
    if routing is not None:  # nobody wrote the shipped one for this model's labels
        policy.check(predictor.schema)
    return resolved, predictor, policy
