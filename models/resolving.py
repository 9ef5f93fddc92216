"""Which model answers: --model, else FANKUI_MODEL, else the champion, else the default that ships with the program."""

import os
from collections.abc import Mapping
from pathlib import Path

from models.champion import fankui_home, previous, read_champion
from models.loading import ResolvedModel
from pipeline.errors import BundleError
from pipeline.resources import shipped

DEFAULT = "default"
"""Name of the model that ships with the program."""


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


def resolve_previous(*, environment: Mapping[str, str] | None = None) -> ResolvedModel | None:
    """The champion before the present one, which answers where that turns out to be unfit; None where there is none."""
    home = fankui_home(environment)
    champion = previous(home)
    if champion is None:
        return None
    return ResolvedModel(champion.folder(home), f"{champion.name}/{champion.version}", "previous", champion.digest)


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
