"""Who is champion: promote a version or a bundle's folder, and roll back to the one before or to any that is kept.

The local pointer is what scoring and serving follow, so moving it is all that these two do, in one rename and without
the registry. The registry's aliases follow in a step of its own, which may fail and be repeated.
"""

from pathlib import Path

from models.bundle import open_bundle
from models.champion import Champion, keep_copy, kept, local_version, previous, read_champion, write_champion
from models.resolving import DEFAULT
from pipeline.errors import ConfigError, FeedbackError, UsageError
from pipeline.resources import shipped

PREVIOUS = "previous"


def promote(model: str, *, home: Path) -> Champion:
    """Make `models:/NAME/VERSION`, `models:/NAME@ALIAS`, a bundle's folder or `default` the champion.

    Raises FeedbackError.

    `align_registry` is the step after it.
    """
    champion = fetch(model, home=home)
    write_champion(home, champion)
    return champion


def rollback(*, home: Path, to: str = PREVIOUS) -> Champion:
    """Make the previous champion the champion again, or `to`: NAME/VERSION of a copy that is kept under `home`.

    A second rollback to `previous` returns to where it was; one to NAME/VERSION changes nothing more. Raises
    ConfigError `no_previous`, `version_not_kept`; UsageError. `align_registry` is the step after it.
    """
    champion = previous(home) if to == PREVIOUS else _kept(home, to)
    if champion is None:
        raise ConfigError("no_previous", f"there is no previous champion in {home}; promote a model twice first")
    open_bundle(champion.folder(home))
    write_champion(home, champion)
    return champion


def align_registry(home: Path, *, repair: str) -> str | None:
    """Let the registry's aliases say what the pointer says; a warning naming the command `repair` where they cannot.

    It fails nothing: who answers is settled by the pointer. A bundle that came from a folder has no version there.
    """
    champion, before = read_champion(home), previous(home)
    if champion is None or all(one is None or one.number is None for one in (champion, before)):
        return None
    try:
        from models.registry import align_aliases

        align_aliases(champion, before)
    except FeedbackError as error:
        why = error.message
    except ModuleNotFoundError as error:
        why = f"{error.name} is not installed"
    except OSError as error:
        why = str(error)
    else:
        return None
    return (
        f"the champion here is {champion.name}/{champion.version}, but the registry's aliases do not say so: {why}; "
        f"`{repair}` aligns them, `fankui models list` shows them"
    )


def fetch(model: str, *, home: Path) -> Champion:
    """A verified copy under `home` of a registered version, of a bundle's folder or of the shipped model (`default`).

    Returned as the champion that it would be.
    """
    if model.startswith("models:/"):
        from models.registry import download

        return download(model, home=home)[1]
    bundle = open_bundle(shipped("models", DEFAULT) if model == DEFAULT else Path(model))
    return keep_copy(home, bundle, name=bundle.name, version=local_version(bundle))


def _kept(home: Path, wanted: str) -> Champion:
    name, slash, version = wanted.removeprefix("models:/").partition("/")
    if not (name and slash and version):
        raise UsageError("to_invalid", f"--to is NAME/VERSION of a model that was champion here; found {wanted!r}")
    place = Path("models", name, version)
    found = kept(home)
    if place not in found:
        known = ", ".join(f"{one.parts[1]}/{one.name}" for one in found) or "none"
        message = f"no copy of {name}/{version} is kept in {home}; kept are: {known} (fankui promote fetches others)"
        raise ConfigError("version_not_kept", message)
    return Champion(name, version, place, open_bundle(home / place).digest)
