"""Who is champion: promote a version or a bundle's folder, and roll back to the one before.

The local pointer is what scoring and serving follow, so it is written first and in one rename; the registry's
aliases follow it. Killed in between, the same command run again brings them into line.
"""

from pathlib import Path

from models.bundle import open_bundle
from models.champion import Champion, keep_copy, local_version, previous, read_champion, write_champion
from pipeline.errors import ConfigError


def promote(model: str, *, home: Path) -> Champion:
    """Make `models:/NAME/VERSION`, `models:/NAME@ALIAS` or a bundle's folder the champion. Raises FeedbackError."""
    champion = fetch(model, home=home)
    write_champion(home, champion)
    _follow(home)
    return champion


def rollback(*, home: Path) -> Champion:
    """Make the previous champion the champion again; a second rollback returns to where it was.

    Raises ConfigError `no_previous` where there is none.
    """
    champion = previous(home)
    if champion is None:
        raise ConfigError("no_previous", f"there is no previous champion in {home}; promote a model twice first")
    open_bundle(champion.folder(home))
    write_champion(home, champion)
    _follow(home)
    return champion


def fetch(model: str, *, home: Path) -> Champion:
    """A verified copy of a registered version or of a local bundle under `home`, as the champion that it would be."""
    if model.startswith("models:/"):
        from models.registry import download

        return download(model, home=home)[1]
    bundle = open_bundle(Path(model))
    return keep_copy(home, bundle, name=bundle.name, version=local_version(bundle))


def _follow(home: Path) -> None:
    """Let the registry's aliases say what the pointer says; a bundle that came from a folder has no version there."""
    champion, before = read_champion(home), previous(home)
    registered = [one for one in (champion, before) if one is not None and one.number is not None]
    if not registered:
        return
    from models.registry import align_aliases

    align_aliases(champion, before)
