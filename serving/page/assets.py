"""The page's templates and static files, read once; a file's path holds a digest of all, so that browsers keep it."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.resources import shipped

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_WORTH_PACKING = 1024  # bytes


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is sent."""

    content: bytes
    packed: bytes  # gzip
    media_type: str


class Assets:
    """All files of the page. Reading them takes some 60 ms, most of it to pack ECharts."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or shipped("serving", "page")
        found = sorted(path for path in (folder / "static").rglob("*") if path.suffix in _TYPES)
        self.files: Mapping[str, StaticFile] = {path.name: _read(path) for path in found}
        digest = hashlib.sha256()
        for name, file in self.files.items():
            digest.update(name.encode() + b"\0" + file.content)
        self.version = digest.hexdigest()[:16]
        self._templates = Environment(
            loader=FileSystemLoader(folder / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, template: str, **values: Any) -> str:
        """HTML of a template; everything in it is escaped."""
        return self._templates.get_template(template).render(static=f"/dashboard/static/{self.version}", **values)


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    packed = gzip.compress(content, 6, mtime=0) if len(content) >= _WORTH_PACKING else b""
    return StaticFile(content, packed, _TYPES[path.suffix])
