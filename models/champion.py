"""The champion pointer: which model answers here when nobody names one (champion.json), beside a verified copy of it.

    $FANKUI_HOME/champion.json               {"name", "version", "path", "digest", "previous": the same or null}
    $FANKUI_HOME/models/<name>/<version>/    the bundle; `path` is relative to the home

<version> is a number for a version of the registry, else `sha-` and the beginning of the bundle's digest.

Without FANKUI_HOME the home is `.fankui` in the working directory. Written by promote and rollback; scoring and
serving only read it and need no registry for that.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.bundle import ModelBundle, open_bundle
from pipeline.atomic import atomic_file, atomic_folder
from pipeline.errors import BundleError

POINTER = "champion.json"
_KEYS = {"name", "version", "path", "digest"}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Champion:
    """A registered version, or a bundle that came from a folder, and where its verified copy lies."""

    name: str
    version: str
    path: Path  # as stored: relative to the home
    digest: str

    @property
    def number(self) -> int | None:
        """Its version in the registry; None for a bundle that came from a folder, whose version begins with `sha-`."""
        return int(self.version) if self.version.isdecimal() else None

    def folder(self, home: Path) -> Path:
        return home / self.path


def fankui_home(environment: Mapping[str, str] | None = None) -> Path:
    """`$FANKUI_HOME`, else `.fankui` in the working directory."""
    named = (os.environ if environment is None else environment).get("FANKUI_HOME")
    return Path(named) if named else Path.cwd() / ".fankui"


def read_champion(home: Path) -> Champion | None:
    """The present champion, or None where none was promoted. Raises BundleError `champion_unreadable`."""
    return _champion(home, _pointer(home))


def previous(home: Path) -> Champion | None:
    """The champion before this one, which `rollback` returns to."""
    pointer = _pointer(home)
    return None if pointer is None else _champion(home, pointer.get("previous"))


def write_champion(home: Path, champion: Champion) -> None:
    """Point to `champion` from now on; the one before becomes `previous`. One rename: readers see either.

    Naming the present champion again changes nothing, so that a repeated promote does not lose `previous`.
    """
    current = read_champion(home)
    if current == champion:
        return
    body = _plain(champion) | {"previous": None if current is None else _plain(current)}
    with atomic_file(home / POINTER) as temporary:
        temporary.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def local_version(bundle: ModelBundle) -> str:
    """What a bundle that is in no registry is called here. A bare digest could be all digits: a registry's version."""
    return f"sha-{bundle.digest[:12]}"


def keep_copy(home: Path, bundle: ModelBundle, *, name: str, version: str) -> Champion:
    """Copy a bundle under the home, unless it lies there already, and check the copy. Does not move the pointer."""
    for part in (name, version):
        if not _PLAIN.fullmatch(part):
            raise BundleError(
                "bundle_name",
                f"a model's name and version are up to 64 ASCII letters, digits, - _ .; found {part[:80]!r}",
            )
    place = Path("models", name, version)
    folder = home / place
    if not folder.exists():
        with atomic_folder(folder) as temporary:
            for file in (*bundle.manifest["files"], "manifest.json"):
                shutil.copyfile(bundle.path / file, temporary / file)
    copied = open_bundle(folder)
    if copied.digest != bundle.digest:
        raise BundleError(
            "version_differs", f"{folder} holds another model than {bundle.path}; register it as a new version"
        )
    return Champion(name, version, place, bundle.digest)


def kept(home: Path) -> list[Path]:
    """Places of all copies under the home, models/NAME/VERSION; not opened, so that a bad one spoils no other."""
    return sorted(path.relative_to(home) for path in (home / "models").glob("*/*") if _PLAIN.fullmatch(path.name))


def _pointer(home: Path) -> dict[str, Any] | None:
    path = home / POINTER
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _unreadable(path) from None
    if not isinstance(found, dict):
        raise _unreadable(path)
    return found


def _champion(home: Path, found: Any) -> Champion | None:
    if found is None:
        return None
    body = found if isinstance(found, dict) else {}
    values = {key: body[key] for key in _KEYS if isinstance(body.get(key), str)}
    if set(values) != _KEYS:
        raise _unreadable(home / POINTER)
    path = Path(values["path"])
    if path.is_absolute() or ".." in path.parts:
        raise _unreadable(home / POINTER)
    return Champion(values["name"], values["version"], path, values["digest"])


def _plain(champion: Champion) -> dict[str, Any]:
    return asdict(champion) | {"path": champion.path.as_posix()}


def _unreadable(path: Path) -> BundleError:
    return BundleError(
        "champion_unreadable", f"{path} is not a champion pointer; run `fankui promote` again or delete it"
    )
