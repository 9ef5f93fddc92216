"""What keeps a small network from learning its few thousand rows by heart, each switched on by a setting.

- `layer_decay`: lower layers learn more slowly (Howard and Ruder 2018);
- `adversarial`: a second pass with the token embeddings moved a little the worst way (FGM, Miyato et al. 2017);
- `consistency`: two passes with other dropout must agree (R-Drop, Liang et al. 2021);
- `averaging`: what answers is a moving average of the weights (Polyak and Juditsky 1992).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.network import FeedbackClassifier, token_embeddings
from pipeline.schema import Kind, LabelSchema


def parameter_groups(
    classifier: FeedbackClassifier, *, rate: float, weight_decay: float, layer_decay: float
) -> list[dict[str, object]]:
    """AdamW's groups. Biases and the norms' scales are not decayed; `scale` is the part of the learning rate."""
    depth = int(classifier.encoder.config.num_hidden_layers)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in classifier.named_parameters():
        if parameter.requires_grad:
            scale = layer_decay ** _distance(name, depth)
            groups.setdefault((scale, parameter.dim() >= 2), []).append(parameter)
    return [
        {"params": found, "weight_decay": weight_decay if decayed else 0.0, "lr": rate * scale, "scale": scale}
        for (scale, decayed), found in groups.items()
    ]


def disagreement(schema: LabelSchema, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
    """Symmetric Kullback-Leibler divergence of two passes over the same rows, mean over rows and tasks; a scalar."""
    terms = []
    for task in schema.tasks:
        one, other = first[task.name].float(), second[task.name].float()
        if task.kind in (Kind.SINGLE, Kind.ASPECT):
            a, b = functional.log_softmax(one, -1), functional.log_softmax(other, -1)
        else:  # each output answers a question of its own
            a = torch.stack([functional.logsigmoid(one), functional.logsigmoid(-one)], -1)
            b = torch.stack([functional.logsigmoid(other), functional.logsigmoid(-other)], -1)
        terms.append(((a.exp() - b.exp()) * (a - b)).sum(-1).mean() / 2)
    return torch.stack(terms).mean()


@contextmanager
def moved_embeddings(classifier: FeedbackClassifier, distance: float) -> Iterator[None]:
    """Inside, the token embeddings stand `distance` along their gradient, where the loss is greatest nearby."""
    weight = token_embeddings(classifier.encoder).weight
    gradient = weight.grad
    length = torch.linalg.vector_norm(gradient) if gradient is not None else torch.zeros(())
    if gradient is None or not bool(length > 0):
        yield
        return
    step = gradient * (distance / length)
    with torch.no_grad():
        weight.add_(step)
    try:
        yield
    finally:
        with torch.no_grad():
            weight.sub_(step)


class Average:
    """A moving average of a model's weights; `share` of it is kept at every step, less in the first ones."""

    def __init__(self, model: nn.Module, share: float) -> None:
        self.share = share
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def update(self, model: nn.Module, *, step: int) -> None:
        """Move the average towards the weights as they are after `step` steps."""
        # Otherwise the random heads of the start would be remembered for long.
        kept = min(self.share, step / (step + 9))
        with torch.no_grad():
            for name, value in model.state_dict().items():
                if value.is_floating_point():
                    self.weights[name].lerp_(value, 1 - kept)
                else:
                    self.weights[name].copy_(value)

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model holds the average."""
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.weights)
        try:
            yield
        finally:
            model.load_state_dict(own)


def _distance(name: str, depth: int) -> int:
    """Layers between a parameter and the heads: 0 for the heads, depth + 1 for the embeddings."""
    if not name.startswith("encoder."):
        return 0
    parts = name.split(".")
    for before, number in pairwise(parts):
        if before in ("layer", "layers", "h", "block") and number.isdigit():
            return depth - int(number)
    return depth + 1 if "embed" in name else 1
