"""Which model answers, and reading it: --model, else FANKUI_MODEL, else the champion, else the shipped default."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.bundle import ModelBundle, open_bundle
from models.champion import fankui_home, read_champion
from models.linear import read_linear
from models.predictor import BundlePredictor, LogitModel
from pipeline.errors import BundleError
from pipeline.resources import shipped
from pipeline.schema import LabelSchema

DEFAULT = "default"
"""Name of the model that ships with the program."""


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that was chosen, not opened yet."""

    path: Path
    version: str | None  # the registered version, where a registry or the champion pointer named it
    origin: str  # option | FANKUI_MODEL | champion | default
    digest: str | None = None  # what the champion pointer promised


def resolve_model(name: str | None = None, *, environment: Mapping[str, str] | None = None) -> ResolvedModel:
    """Choose the model. `name` is a bundle's folder, `default`, or `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises BundleError `model_missing` for a folder that does not exist, `no_model` where nothing was found at all.
    """
    env = os.environ if environment is None else environment
    home = fankui_home(env)
    if name:
        return _named(name, "option", home)
    if env.get("FANKUI_MODEL"):
        return _named(env["FANKUI_MODEL"], "FANKUI_MODEL", home)
    champion = read_champion(home)
    if champion is not None:
        version = f"{champion.name}/{champion.version}"
        return ResolvedModel(champion.folder(home), version, "champion", champion.digest)
    return _default()


def load_predictor(
    model: ResolvedModel | Path, *, threads: int | None = None, schema: LabelSchema | None = None
) -> BundlePredictor:
    """Open and check the bundle, read its model; with `schema`, its labels must be the same. Raises BundleError."""
    resolved = model if isinstance(model, ResolvedModel) else ResolvedModel(model, None, "option")
    bundle = open_bundle(resolved.path, schema=schema)
    if resolved.digest is not None and resolved.digest != bundle.digest:
        raise BundleError(
            "bundle_altered", f"{resolved.path} is not the model that was promoted; run `fankui promote` again"
        )
    return BundlePredictor(
        model=_read(bundle, threads),
        schema=bundle.schema,
        calibration=bundle.calibration,
        model_version=model_version(bundle, resolved.version),
    )


def model_version(bundle: ModelBundle, registered: str | None = None) -> str:
    """How an answer names its model: `name@digest`, and the registered version where there is one."""
    return bundle.version if registered is None else f"{registered}@{bundle.digest[:12]}"


def _read(bundle: ModelBundle, threads: int | None) -> LogitModel:
    if bundle.kind == "linear":
        return read_linear(bundle)
    from models.onnx_model import read_network  # onnxruntime takes 0.2 s to import, which the linear model need not pay

    return read_network(bundle, threads)


def _named(name: str, origin: str, home: Path) -> ResolvedModel:
    if name == DEFAULT:
        return _default()
    if name.startswith("models:/"):
        from models.registry import download  # needs mlflow, which the base install does not have

        registered, copy = download(name, home=home)
        return ResolvedModel(copy.folder(home), registered.model_version, origin, copy.digest)
    path = Path(name)
    if not path.is_dir():
        raise BundleError(
            "model_missing", f"no model folder at {path}; give a bundle's folder, 'default', or models:/NAME@ALIAS"
        )
    return ResolvedModel(path, None, origin)


def _default() -> ResolvedModel:
    path = shipped("models", "default")
    if not path.is_dir():
        raise BundleError(
            "no_model", "no model was named, promoted or shipped; train one with `fankui train` and give --model FOLDER"
        )
    return ResolvedModel(path, None, DEFAULT)
