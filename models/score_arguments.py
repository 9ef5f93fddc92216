"""What the ARGs of `fankui score` are: files, or comments."""

import glob
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.decoding import decode
from pipeline.errors import UsageError
from pipeline.readers import FORMATS

_HINT = "to score it as a comment give --text"


def files_or_texts(args: Sequence[str], *, as_text: bool) -> tuple[list[Path], list[object]]:
    """The files, or the comments; one of the lists is empty. `-` stands for the lines of standard input.

    Raises UsageError for a file that does not exist, a pattern that fits nothing, and a mixture of both.
    """
    files: list[Path] = []
    texts: list[object] = []
    for arg in args:
        found = [] if as_text else _files(arg)
        if arg == "-":
            texts += standard_input()
        elif found:
            files += found
        else:
            texts.append(arg)
    if files and texts:
        raise UsageError("mixed_arguments", "score files or comments, not both at once; --text makes all ARGs comments")
    if not files and not texts:
        raise UsageError("no_comments", "standard input held no comment; give one in each line")
    return list(dict.fromkeys(files)), texts


def standard_input() -> list[object]:
    """One comment a line, in UTF-8 or GB18030; blank lines do not count."""
    text, _ = decode(sys.stdin.buffer.read())
    return [line for line in text.split("\n") if line.strip()]


def _files(arg: str) -> list[Path]:
    """The files that an ARG names; none where it is a comment."""
    path = Path(arg)
    if arg.strip() and _exists(path):
        if path.is_dir():
            raise UsageError("is_folder", f"{arg} is a folder; give files or a pattern such as {arg.rstrip('/')}/*.csv")
        return [path]
    pattern = glob.has_magic(arg)
    matches = sorted(Path(name) for name in glob.glob(arg, recursive=True)) if pattern else []  # noqa: PTH207
    if matches:
        return matches
    # A comment may well hold ? or [微笑], so these alone make no pattern unless some file fits.
    looks_like_file = "/" in arg or "\\" in arg or "*" in arg or path.suffix.lower() in FORMATS
    if looks_like_file:
        what = "no file fits the pattern" if pattern else "there is no file"
        raise UsageError("file_missing", f"{what} {arg[:200]}; {_HINT}")
    return []


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a comment can be too long for a file name, or hold what none may hold
        return False
