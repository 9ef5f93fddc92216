"""From a bundle's folder to a predictor, whatever kind of model it holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.bundle import ModelBundle, open_bundle
from models.linear import read_linear
from models.predictor import BundlePredictor, LogitModel
from pipeline.errors import BundleError
from pipeline.schema import LabelSchema

if TYPE_CHECKING:
    from models.precision import Precision


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that was chosen (models/resolving.py), not opened yet."""

    path: Path
    version: str | None  # the registered version, where a registry or the champion pointer named it
    origin: str  # option | FANKUI_MODEL | champion | previous | default
    digest: str | None = None  # what the champion pointer promised


def load_predictor(
    model: ResolvedModel | Path, *, threads: int | None = None, schema: LabelSchema | None = None
) -> BundlePredictor:
    """Open and check the bundle, read its model; with `schema`, its labels must be the same. Raises BundleError."""
    resolved = model if isinstance(model, ResolvedModel) else ResolvedModel(model, None, "option")
    return read_predictor(open_model(resolved, schema=schema), registered=resolved.version, threads=threads)


def open_model(resolved: ResolvedModel, *, schema: LabelSchema | None = None) -> ModelBundle:
    """Open and check the bundle; it must be the one that was promised. Raises BundleError."""
    bundle = open_bundle(resolved.path, schema=schema)
    if resolved.digest is not None and resolved.digest != bundle.digest:
        raise BundleError(
            "bundle_altered", f"{resolved.path} is not the model that was promoted; run `fankui promote` again"
        )
    return bundle


def read_predictor(
    bundle: ModelBundle,
    *,
    registered: str | None = None,
    threads: int | None = None,
    precision: "Precision | None" = None,
) -> BundlePredictor:
    """The bundle's model, ready to answer; a network in 8 bits where the bundle can, unless told otherwise.

    Raises BundleError.
    """
    return BundlePredictor(
        model=_read(bundle, threads, precision),
        schema=bundle.schema,
        calibration=bundle.calibration,
        model_version=model_version(bundle, registered),
    )


def model_version(bundle: ModelBundle, registered: str | None = None) -> str:
    """How an answer names its model: `name@digest`, and the registered version where there is one."""
    return bundle.version if registered is None else f"{registered}@{bundle.digest[:12]}"


def _read(bundle: ModelBundle, threads: int | None, precision: "Precision | None") -> LogitModel:
    if bundle.kind == "linear":
        return read_linear(bundle)
    # onnxruntime takes 0.2 s to import, which the linear model need not pay
    if bundle.kind == "joint":
        from models.joint import read_joint

        return read_joint(bundle, threads, precision=precision)
    from models.onnx_model import read_network

    return read_network(bundle, threads, precision=precision)
