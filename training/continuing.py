"""A training that goes on from a trained model (`fankui train --from default`): its encoder, its tokenizer, and the
heads of those tasks whose labels are the same.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor

from models.loading import open_model
from models.network import FeedbackClassifier, FeedbackConfig, longest_input, new_classifier
from models.onnx_model import WEIGHTS, read_tokenizer_of
from models.resolving import resolve_model
from models.tokenization import FeedbackTokenizer
from pipeline.errors import ConfigError
from pipeline.schema import LabelSchema


@dataclass(frozen=True, slots=True)
class Parent:
    """The model that a training went on from."""

    version: str  # such as fankui-default@0123456789ab
    digest: str
    registered: str | None = None  # such as fankui/3

    def __str__(self) -> str:
        also = f", {self.registered} in the registry" if self.registered else ""
        return f"{self.version} (digest {self.digest}{also})"


@dataclass(frozen=True)
class Continued:
    """What a training goes on with."""

    classifier: FeedbackClassifier
    tokenizer: FeedbackTokenizer
    parent: Parent


def continue_from(name: str, schema: LabelSchema, *, max_tokens: int, dropout: float) -> Continued:
    """A classifier for `schema` that knows what the model `name` (as --model takes it) has learnt.

    Raises BundleError as opening does, and ConfigError `start_unusable` for a model without a network.
    """
    resolved = resolve_model(name)
    bundle = open_model(resolved)
    if bundle.kind == "linear":
        raise ConfigError(
            "start_unusable", f"--from {name}: expected a model with a network; {bundle.version} is a linear one"
        )
    settings = {**bundle.json("encoder.json")["config"], "dropout": dropout}
    weights = {key: value.float() for key, value in load(bundle.read(WEIGHTS)).items()}
    old = FeedbackClassifier(FeedbackConfig(**_plain(settings)))
    old.load_state_dict(weights)
    classifier = new_classifier(old.encoder, schema, pooling=old.config.pooling, dropout=dropout)
    _take_heads(classifier, old)
    longest = min(max_tokens, longest_input(classifier.encoder.config))
    tokenizer = replace(read_tokenizer_of(bundle), max_tokens=longest)
    return Continued(classifier, tokenizer, Parent(bundle.version, bundle.digest, resolved.version))


def _take_heads(classifier: FeedbackClassifier, old: FeedbackClassifier) -> None:
    known: dict[Any, dict[str, Tensor]] = {
        (task.name, task.kind, task.keys): head.state_dict()
        for task, head in zip(old.schema.tasks, old.heads, strict=True)
    }
    with torch.no_grad():
        for task, head in zip(classifier.schema.tasks, classifier.heads, strict=True):
            state = known.get((task.name, task.kind, task.keys))
            if state is not None:
                head.load_state_dict(state)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Without what transformers adds about the file rather than the network."""
    return {key: value for key, value in settings.items() if key not in ("model_type", "transformers_version", "dtype")}
