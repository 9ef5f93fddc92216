"""What a corpus was built from, as digests: other sets, files or guarded texts make another corpus.

Files go by their sha256, so that a copy of the same data elsewhere is the same (130 MB take a quarter of a second).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from training.leakage import labeled_dev
from training.public_sets import DEV, PublicSet, measured_splits, split_file

_SHOWN = 3  # files named in a message


def corpus_source(data: Path, sets: Sequence[PublicSet]) -> dict[str, Any]:
    """Digests of the sets that are read, of their files, and of what is guarded. `sets`: those that are there."""
    tables = [{key: value for key, value in asdict(one).items() if key != "about"} for one in sets]
    read = {f"{one.name}/{split}": split_file(data, one.name, split) for one in sets for split in one.text}
    guarded = {f"{one.name}/{split}": split_file(data, one.name, split) for one, split in measured_splits(data, sets)}
    guarded |= {DEV.as_posix(): data / DEV, "annotations/dev.jsonl": labeled_dev()}
    body = {"sets": _digest(tables), "files": _digests(read), "guarded": _digests(guarded)}
    return body | {"digest": _digest(body)}


def require_source(folder: Path, manifest: Mapping[str, Any], data: Path, sets: Sequence[PublicSet]) -> None:
    """Raise DataError `corpus_differs` where the corpus was not built from these sets of this folder."""
    before, now = manifest.get("origin"), corpus_source(data, sets)
    if before is not None and before["digest"] == now["digest"]:
        return
    what = (
        "does not tell what it was built from"
        if before is None
        else f"was built from other data: {_other(before, now)}"
    )
    raise DataError(
        "corpus_differs",
        f"the corpus {folder} {what}; name another folder with --corpus to have one built from {data}, or give --data "
        "and --sets as it was built",
    )


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _other(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first few files that differ, else that the tables do."""
    files = sorted({name for part in ("files", "guarded") for name, _ in before[part].items() ^ now[part].items()})
    if not files:
        return "the table of sets differs"
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return f"{', '.join(files[:_SHOWN])}{more} differ" + ("" if len(files) > 1 else "s")


def _digests(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: file_digest(path) for name, path in files.items() if path.is_file()}


def _digest(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
