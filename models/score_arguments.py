"""What the ARGs of `fankui score` are: files, or comments."""

import glob
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.decoding import decode
from pipeline.errors import UsageError
from pipeline.readers import FORMATS

if TYPE_CHECKING:
    from models.batch import ScoreOptions

_HINT = "to score it as a comment give --text"
# Han characters, a mail address, or more digits than a date has: a phone's, a card's, an identity's.
_PERSONAL = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff@]|(\d[ -]?){9}")
_LONGEST_NAME = 100


def files_or_texts(args: Sequence[str], *, as_text: bool) -> tuple[list[Path], list[object]]:
    """The files, or the comments; one of the lists is empty. `-` stands for the lines of standard input,
    unless `as_text` makes every ARG a comment.

    Raises UsageError for a file that does not exist, a pattern that fits nothing, and a mixture of both.
    """
    if as_text:
        return [], list(args)
    files: list[Path] = []
    texts: list[object] = []
    for i, arg in enumerate(args, 1):
        if arg == "-":
            texts += standard_input()
        elif found := _files(arg, f"ARG {i}"):
            files += found
        else:
            texts.append(arg)
    if files and texts:
        raise UsageError("mixed_arguments", "score files or comments, not both at once; --text makes all ARGs comments")
    if not files and not texts:
        raise UsageError("no_comments", "standard input held no comment; give one in each line")
    return list(dict.fromkeys(files)), texts


def refuse_file_options(options: "ScoreOptions", *, sheet: str | None, as_json: bool) -> None:
    """Raise UsageError for options that mean nothing for comments, rather than pass over them."""
    given = {
        "--text-column": options.columns.text != "text",
        **{f"--{name.replace('_', '-')}-column": True for name in options.columns.named()},
        "--sheet": sheet is not None,
        "--prefix": bool(options.prefix),
        "--overwrite": options.overwrite,
        "--embeddings": options.embeddings,
    }
    names = [name for name, there in given.items() if there]
    if names:
        raise UsageError("option_needs_file", f"{', '.join(names)}: only for files; leave it out for comments")
    if options.all_probabilities and not as_json:
        raise UsageError("option_needs_json", "--all-probabilities of comments needs --json")


def standard_input() -> list[object]:
    """One comment a line, in UTF-8 or GB18030; blank lines do not count."""
    text, _ = decode(sys.stdin.buffer.read())
    return [line for line in text.split("\n") if line.strip()]


def _files(arg: str, place: str) -> list[Path]:
    """The files that an ARG names; none where it is a comment. `place`: how to tell of it without its words."""
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
    extension = path.suffix.lower() if path.suffix.lower() in FORMATS else ""
    sign = next((mark for mark in "/\\*" if mark in arg), extension)
    if not sign:
        return []
    if extension and _is_plain_name(arg):
        what = "no file fits the pattern" if pattern else "there is no file"
        raise UsageError("file_missing", f"{what} {arg}; {_HINT}")
    what = f"{place} ({len(arg):,} characters, with {sign}) is taken for a file and there is none"
    raise UsageError("file_missing", f"{what}; {_HINT}")


def _is_plain_name(arg: str) -> bool:
    """Whether it can only be a file's name. A comment may end in .csv or hold a /, and errors go into logs."""
    return len(arg) <= _LONGEST_NAME and not _PERSONAL.search(arg)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a comment can be too long for a file name, or hold what none may hold
        return False
