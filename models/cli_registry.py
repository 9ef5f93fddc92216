"""`fankui rollback` and `fankui models list|show`: which models are known here, and which one answers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

models_app = typer.Typer(help="List and show models.")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A line of `fankui models list`."""

    model: str  # what --model takes
    kind: str
    roles: tuple[str, ...]
    digest: str

    def to_dict(self) -> dict[str, Any]:
        return {"model": self.model, "kind": self.kind, "roles": list(self.roles), "digest": self.digest}


def rollback(
    *,
    to: Annotated[
        str, typer.Option(metavar="NAME/VERSION", help="Version to go back to; repeating it changes nothing more.")
    ] = "previous",
    as_json: _Json = False,
) -> None:
    """Make the previous champion, or any version that is kept here, the champion again.

    It needs no registry: aliases that cannot follow are a warning. A second rollback to the previous champion returns
    to where it was. Servers that follow the champion pointer change within seconds.

    Example: `fankui rollback --to fankui/3`
    """
    from models.champion import fankui_home
    from models.promotion import align_registry
    from models.promotion import rollback as roll_back

    home = fankui_home()
    champion = roll_back(home=home, to=to)
    version = f"{champion.name}/{champion.version}"
    # Told before the registry is asked, which may take long not to answer.
    if as_json:
        typer.echo(json.dumps({"champion": version, "digest": champion.digest}))
    else:
        typer.echo(f"champion is now {version}")
    warning = align_registry(home, repair=f"fankui rollback --to {version}")
    if warning:
        typer.echo(f"fankui: {warning}", err=True)


@models_app.command("list")
def list_models(as_json: _Json = False) -> None:
    """List the shipped model, the champion and every registered version.

    Example: `fankui models list`
    """
    from rich.console import Console
    from rich.table import Table

    known = [*_local(), *_registered()]
    if as_json:
        typer.echo(json.dumps([model.to_dict() for model in known]))
        return
    table = Table("model", "kind", "roles", "digest")
    for model in known:
        table.add_row(model.model, model.kind, ", ".join(model.roles), model.digest[:12])
    Console().print(table)


@models_app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="Folder, 'default', models:/NAME/VERSION or models:/NAME@ALIAS.")],
    as_json: _Json = False,
) -> None:
    """Show one model: what it was trained for, its figures, its card.

    Example: `fankui models show default`
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from models.bundle import open_bundle
    from models.loading import model_version
    from models.resolving import resolve_model

    resolved = resolve_model(model)
    bundle = open_bundle(resolved.path)
    if as_json:
        document = {
            "model_version": model_version(bundle, resolved.version),
            "kind": bundle.kind,
            "path": str(bundle.path),
            "tasks": {task.name: list(task.keys) for task in bundle.schema.tasks},
            "metrics": bundle.json("metrics.json"),
            "manifest": dict(bundle.manifest),
        }
        typer.echo(json.dumps(document, ensure_ascii=False, default=str))
        return
    console = Console()
    console.print(f"[bold]{model_version(bundle, resolved.version)}[/bold]  {bundle.kind}  {bundle.path}")
    console.print(Markdown(bundle.read("card.md").decode()))


def _local() -> list[KnownModel]:
    from models.champion import fankui_home, previous, read_champion
    from pipeline.resources import shipped

    home = fankui_home()
    roles: dict[tuple[str, str], list[str]] = {}
    paths: dict[tuple[str, str], Path] = {}
    for role, champion in (("champion", read_champion(home)), ("previous", previous(home))):
        if champion is not None:
            roles.setdefault((champion.name, champion.version), []).append(role)
            paths[champion.name, champion.version] = champion.folder(home)
    found = [_described(str(paths[key]), paths[key], (*roles[key], "local copy")) for key in roles]
    default = shipped("models", "default")
    if default.is_dir():
        found.append(_described("default", default, ("shipped",) if roles else ("shipped", "answers")))
    return found


def _described(model: str, path: Path, roles: tuple[str, ...]) -> KnownModel:
    from models.bundle import open_bundle

    bundle = open_bundle(path)
    return KnownModel(model, bundle.kind, roles, bundle.digest)


def _registered() -> list[KnownModel]:
    """Versions in the registry; none where mlflow is not installed, as in a base install that only scores.

    A registry that does not answer is a warning: what lies here can be listed without it.
    """
    from importlib.util import find_spec

    if find_spec("mlflow") is None:
        return []
    from models.registry import versions
    from pipeline.errors import ConfigError

    try:
        found = versions()
    except ConfigError as error:
        typer.echo(f"fankui: only what lies here is listed: {error.message}", err=True)
        return []
    return [
        KnownModel(version.uri, version.tags.get("model.kind", "?"), version.aliases, version.digest)
        for version in found
    ]
