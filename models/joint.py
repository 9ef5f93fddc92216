"""Two models that answer together: the network, which knows words in their places, and the linear model, which knows
rare n-grams by heart. Their logits are added, each with a weight of its own for every task.

Fitted by training/fit_joint.py; the weights stand in config.json under `mix`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.bundle import ModelBundle
from models.linear import read_linear
from models.onnx_model import read_network
from models.precision import Precision
from models.predictor import LogitModel, Outputs
from pipeline.errors import BundleError
from pipeline.schema import LabelSchema


@dataclass(frozen=True, slots=True)
class Mix:
    """What each model's logits of one task are multiplied by before they are added."""

    network: float = 0.5
    linear: float = 0.5


class JointModel:
    """A LogitModel out of two; windows, known tokens and embeddings are the network's."""

    def __init__(
        self, *, network: LogitModel, linear: LogitModel, mixes: Mapping[str, Mix], schema: LabelSchema
    ) -> None:
        self.network = network
        self.linear = linear
        self.mixes = dict(mixes)
        self.schema = schema

    def logits(self, texts: Sequence[str]) -> Outputs:
        """Both models' logits, mixed; rows in the order of `texts`."""
        found = self.network.logits(texts)
        return Outputs(mixed(found.logits, self.linear.logits(texts).logits, self.mixes), found.embeddings, found.known)

    def windows(self, text: str) -> list[tuple[int, int]]:
        return self.network.windows(text)

    def known_fraction(self, text: str) -> float:
        return self.network.known_fraction(text)


def mixed(network: Mapping[str, Any], linear: Mapping[str, Any], mixes: Mapping[str, Mix]) -> dict[str, Any]:
    """Logits by task, each (n, *head_width(task)), of two models that put out the same tasks."""
    return {name: mixes[name].network * network[name] + mixes[name].linear * linear[name] for name in network}


def mix_file(mixes: Mapping[str, Mix]) -> dict[str, dict[str, float]]:
    """What config.json holds under `mix`."""
    return {name: {"network": mix.network, "linear": mix.linear} for name, mix in mixes.items()}


def read_joint(bundle: ModelBundle, threads: int | None = None, *, precision: Precision | None = None) -> JointModel:
    """Both models of an opened bundle. Raises BundleError where a file of theirs or the mix cannot be used."""
    return JointModel(
        network=read_network(bundle, threads, precision=precision),
        linear=read_linear(bundle),
        mixes=_mixes(bundle),
        schema=bundle.schema,
    )


def _mixes(bundle: ModelBundle) -> dict[str, Mix]:
    body = bundle.json("config.json").get("mix")
    found = {}
    for task in bundle.schema.tasks:
        entry = body.get(task.name) if isinstance(body, Mapping) else None
        if not isinstance(entry, Mapping) or set(entry) != {"network", "linear"}:
            raise _invalid(bundle, task.name, entry)
        if not all(isinstance(value, float | int) and abs(value) < 1e6 for value in entry.values()):
            raise _invalid(bundle, task.name, entry)
        found[task.name] = Mix(float(entry["network"]), float(entry["linear"]))
    return found


def _invalid(bundle: ModelBundle, task: str, entry: Any) -> BundleError:
    return BundleError(
        "mix_invalid",
        f"{bundle.path / 'config.json'}: expected two numbers under mix.{task}, network and linear; "
        f"found {json.dumps(entry)[:80]}",
    )
