"""The MLflow registry: versions of a model under one name, and the aliases champion, challenger, previous.

A version is registered only after everything it consists of is stored, so an interrupted publish leaves
a run without a version, never a half version. Our own programs read the bundle's files out of a version;
they never execute the code that travels with it for other people's sake.
"""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from models.bundle import ModelBundle, open_bundle
from models.champion import Champion, keep_copy
from pipeline.errors import BundleError, ConfigError

ALIASES = ("champion", "challenger", "previous")
_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[\w.-]+))")


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One version of a registered model."""

    name: str
    version: int
    run_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.version}"

    @property
    def digest(self) -> str:
        """Digest of the bundle that was registered."""
        return self.tags.get("bundle.digest", "")

    @property
    def model_version(self) -> str:
        """What every answer of this version names."""
        return f"{self.name}/{self.version}"


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, else a SQLite file in the working directory (MLflow refuses plain folders since 3.13)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def quiet_client() -> mlflow.MlflowClient:
    """A client of the tracking server and registry, without MLflow's telemetry and migration chatter.

    Raises ConfigError `registry_unreachable` when the address cannot be used, `extra_missing` for a database without
    the packages that read it: mlflow-skinny alone speaks to servers only.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        client = mlflow.MlflowClient(tracking_uri())
        client.search_experiments(max_results=1)
    except (MlflowException, OSError, ModuleNotFoundError) as error:
        uri = without_password(tracking_uri())
        if not uri.startswith("http") and find_spec("sqlalchemy") is None:
            fix = 'pip install ".[train]" in the checkout, or set MLFLOW_TRACKING_URI to a server'
            raise ConfigError(
                "extra_missing", f"a registry in a database ({uri}) needs more of mlflow: {fix}"
            ) from None
        message = f"MLflow at {uri} does not answer ({type(error).__name__}); check MLFLOW_TRACKING_URI"
        raise ConfigError("registry_unreachable", message) from error
    return client


def without_password(uri: str) -> str:
    """An address as it may be shown."""
    return re.sub(r"//[^/]*@", "//…@", uri)  # greedy: a password may hold an @


def artifact_root(uri: str) -> str | None:
    """Where a new experiment keeps its files: beside a SQLite database; None leaves it to the server.

    MLflow's own choice is `mlruns` in whatever the working directory is at that moment.
    """
    path = uri.removeprefix("sqlite:///")
    return (Path(path).absolute().parent / "mlartifacts").as_uri() if path != uri else None


def register(bundle: ModelBundle, *, run_id: str, name: str, tags: Mapping[str, str]) -> RegisteredVersion:
    """Store the bundle with its run as a pyfunc model and make it the next version and the challenger.

    Registering the same bundle again returns the version that is there; killed before it became the challenger, it
    becomes so then.
    """
    from models.pyfunc_export import log_pyfunc  # needs all of mlflow and pandas; reading a registry does not

    client = quiet_client()
    for known in versions(name):
        if known.digest == bundle.digest:
            return _challenging(client, known)
    model_uri, model_id = log_pyfunc(bundle, run_id=run_id, uri=tracking_uri())
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        name, source=model_uri, run_id=run_id, model_id=model_id, tags={**tags, "bundle.digest": bundle.digest}
    )
    return _challenging(client, find(f"models:/{name}/{created.version}"))


def versions(name: str | None = None) -> list[RegisteredVersion]:
    """All versions, newest first; of one model when named. An unknown name has none."""
    client = quiet_client()
    names = [name] if name else [model.name for model in client.search_registered_models()]
    found = []
    for each in names:
        aliases = _aliases(client, each)
        for version in client.search_model_versions(f"name='{each}'"):
            found.append(_record(version, aliases))
    return sorted(found, key=lambda version: (version.name, -version.version))


def find(uri: str) -> RegisteredVersion:
    """The version behind `models:/NAME/3` or `models:/NAME@alias`; ConfigError `version_missing` otherwise."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ConfigError("version_missing", f"expected models:/NAME/VERSION or models:/NAME@ALIAS; found {uri!r}")
    client = quiet_client()
    try:
        if match["alias"]:
            version = client.get_model_version_by_alias(match["name"], match["alias"])
        else:
            version = client.get_model_version(match["name"], match["version"])
    except MlflowException:
        known = ", ".join(f"{each.model_version}" for each in versions(match["name"])[:5]) or "none"
        message = f"the registry has no {uri}; versions of {match['name']!r}: {known} (see fankui models list)"
        raise ConfigError("version_missing", message) from None
    return _record(version, _aliases(client, match["name"]))


def download(uri: str, *, home: Path) -> tuple[RegisteredVersion, Champion]:
    """A verified local copy of a version's bundle under `home`, fetched once; an alias is resolved first.

    Raises ConfigError `version_missing`, BundleError for a copy that is not what was registered.
    """
    version = find(uri)
    kept = Champion(
        version.name, str(version.version), Path("models", version.name, str(version.version)), version.digest
    )
    if kept.folder(home).exists():
        _same(open_bundle(kept.folder(home)), version)
        return version, kept
    home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".download-", dir=home) as part:
        mlflow.set_tracking_uri(tracking_uri())
        fetched = mlflow.artifacts.download_artifacts(artifact_uri=f"{version.uri}/artifacts/bundle", dst_path=part)
        bundle = open_bundle(Path(fetched))
        _same(bundle, version)
        return version, keep_copy(home, bundle, name=version.name, version=str(version.version))


def align_aliases(champion: Champion | None, before: Champion | None) -> None:
    """Let the aliases champion and previous name these versions; a challenger that became champion is none any more.

    May be repeated. Raises ConfigError `registry_unreachable`, or `aliases_refused` where the registry says no.
    """
    try:
        _align(quiet_client(), champion, before)
    except MlflowException as error:
        message = f"MLflow at {without_password(tracking_uri())} refuses ({error.error_code})"
        raise ConfigError("aliases_refused", message) from error


def _align(client: mlflow.MlflowClient, champion: Champion | None, before: Champion | None) -> None:
    wanted = {"champion": champion, "previous": before}
    for name in {one.name for one in wanted.values() if one is not None and one.number is not None}:
        present = _aliases(client, name)
        for alias, one in wanted.items():
            number = one.number if one is not None and one.name == name else None
            if number is None and alias in present:
                client.delete_registered_model_alias(name, alias)
            elif number is not None and present.get(alias) != number:
                client.set_registered_model_alias(name, alias, str(number))
        challenger = present.get("challenger")
        if challenger is not None and champion is not None and (champion.name, champion.number) == (name, challenger):
            client.delete_registered_model_alias(name, "challenger")


def _challenging(client: mlflow.MlflowClient, version: RegisteredVersion) -> RegisteredVersion:
    """The version as challenger, unless it is that, champion or previous already."""
    if version.aliases:
        return version
    client.set_registered_model_alias(version.name, "challenger", str(version.version))
    return find(version.uri)


def _aliases(client: mlflow.MlflowClient, name: str) -> dict[str, int]:
    try:
        return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def _record(version: Any, aliases: Mapping[str, int]) -> RegisteredVersion:
    number = int(version.version)
    mine = tuple(alias for alias in ALIASES if aliases.get(alias) == number)
    return RegisteredVersion(version.name, number, version.run_id or "", mine, dict(version.tags))


def _same(bundle: ModelBundle, version: RegisteredVersion) -> None:
    if bundle.digest != version.digest:
        message = f"{bundle.path} is not the model that was registered as {version.uri}; delete it and try again"
        raise BundleError("registry_altered", message)
