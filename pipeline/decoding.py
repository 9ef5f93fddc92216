"""Bytes to text: byte order mark, strict UTF-8, GB18030, in that order; nothing else is guessed.

GB18030 accepts much that is not Chinese text, so a UTF-8 file with one torn line must not fall through to it:
such a file stays UTF-8 and its torn lines are told one by one.
"""

import codecs
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError
from pipeline.rows import limit_exceeded

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """How to open a text file. `damaged`: some lines do not decode, and hold surrogates when read with `errors`."""

    name: str
    damaged: bool = False

    @property
    def errors(self) -> str:
        return "surrogateescape" if self.damaged else "strict"


def decode(raw: bytes) -> tuple[str, str]:
    """Text and encoding name of `raw`. Raises DataError `undecodable`."""
    bom = _bom(raw)
    for name in (bom,) if bom else ("utf-8", "gb18030"):
        try:
            return raw.decode(name), name
        except UnicodeDecodeError:
            continue
    raise DataError("undecodable", _expected("the input", bom))


def detect_encoding(path: Path) -> str:
    """Encoding name of a text file, read once in chunks. Raises DataError `undecodable`."""
    return inspect_encoding(path).name


def inspect_encoding(path: Path, *, max_line_bytes: int | None = None) -> TextEncoding:
    """Encoding of a text file and whether single lines are damaged.

    Raises DataError `undecodable`, and `limit_exceeded` as soon as a line is longer than `max_line_bytes`.
    """
    with path.open("rb") as file:
        bom = _bom(file.read(4))
    name = bom or "utf-8"
    if _decodes(path, name, max_line_bytes):
        return TextEncoding(name)
    if bom != "utf-16" and _mostly_utf8(path):
        return TextEncoding(name, damaged=True)
    if not bom and _decodes(path, "gb18030", max_line_bytes):
        return TextEncoding("gb18030")
    raise DataError("undecodable", _expected(str(path), bom))


def _bom(start: bytes) -> str | None:
    return next((name for mark, name in _BOMS if start.startswith(mark)), None)


def _decodes(path: Path, name: str, max_line_bytes: int | None) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    line_bytes = 0
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                line_end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
                line_bytes = len(chunk) - line_end - 1 if line_end >= 0 else line_bytes + len(chunk)
                if max_line_bytes is not None and line_bytes > max_line_bytes:
                    raise limit_exceeded(path, f"a line of over {max_line_bytes:,} bytes", "it is not text in lines")
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeError:  # utf-16 raises the parent class for a missing mark
            return False
    return True


def _mostly_utf8(path: Path) -> bool:
    """Whether more of the lines beyond ASCII are valid UTF-8 than not; in a GB18030 file hardly any is."""
    good = bad = 0
    with path.open("rb") as file:
        while line := file.readline(_CHUNK):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                good += 1
            except UnicodeDecodeError:
                bad += 1
    return good > bad


def _expected(what: str, bom: str | None) -> str:
    if bom:
        return f"{what} starts with the mark of {bom} but is not valid {bom}; save it again as UTF-8"
    return f"{what} is neither valid UTF-8 nor GB18030 text; save it as UTF-8, or give a parquet or xlsx file"
