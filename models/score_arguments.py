"""What the ARGs of `fankui score` are: files, or comments; and where the files' answers go."""

import glob
import re
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.decoding import decode
from pipeline.errors import UsageError
from pipeline.readers import FORMATS

if TYPE_CHECKING:
    from models.batch_scoring import ScoreOptions

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


def file_targets(
    files: Sequence[Path], output: Path | None, *, folders: Sequence[Path] = (), patterns: Sequence[str] = ()
) -> list[tuple[Path, Path]]:
    """Source and target of every file. Files out of one of `folders` keep their place in it, and with it the values
    of partition columns, which stand in the names of its folders; those that fit a pattern, in the folder before its
    first wildcard. Raises UsageError."""
    if not files:
        if output is not None:
            raise UsageError(
                "output_needs_file", "-o is for files; a comment's answer is printed (--json for programs)"
            )
        return []
    if output is None:
        raise UsageError(
            "output_missing", f"say where to write: -o FILE{files[0].suffix}, or -o FOLDER for several files"
        )
    if len(files) == 1 and not folders and not output.is_dir():
        return [(files[0], output)]
    if output.suffix and not output.is_dir():
        what = "a folder's files go" if folders else f"{len(files)} files go"
        raise UsageError("output_no_folder", f"{what} into a folder; {output} looks like a file")
    inside = next((folder for folder in folders if output.resolve().is_relative_to(folder.resolve())), None)
    if inside is not None:
        raise UsageError("output_inside", f"{output} lies in {inside}, whose files are read; name a folder outside")
    above = [*folders, *(_fixed_part(arg) for arg in patterns if glob.has_magic(arg))]
    names = [_place(file, above) for file in files]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise UsageError("output_clash", f"several files are named {twice[0]}; score them one at a time")
    return [(file, output / name) for file, name in zip(files, names, strict=True)]


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


def _place(file: Path, folders: Sequence[Path]) -> Path:
    folder = next((folder for folder in folders if file.is_relative_to(folder)), None)
    return Path(file.name) if folder is None else file.relative_to(folder)


def _fixed_part(pattern: str) -> Path:
    """The folder that a pattern names before its first wildcard."""
    return Path(*takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))


def _files(arg: str, place: str) -> list[Path]:
    """The files that an ARG names; none where it is a comment. `place`: how to tell of it without its words."""
    path = Path(arg)
    if arg.strip() and _exists(path):
        if path.is_dir():
            found = folder_files(path)
            if not found:
                raise UsageError("is_folder", f"{arg} is a folder without files of {', '.join(FORMATS)}; name another")
            return found
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


def folder_files(folder: Path) -> list[Path]:
    """The files of a data set that lies in a folder, partitioned or not: all that can be read, at any depth."""
    return [path for path in data_files(folder) if path.suffix.lower() in FORMATS]


def data_files(folder: Path) -> list[Path]:
    """All files below a folder, sorted, but those that are no data as Hadoop and Spark have it: what begins with _ or .
    (_SUCCESS, .crc).
    """
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if not any(part[0] in "._" for part in path.relative_to(folder).parts)]


def _is_plain_name(arg: str) -> bool:
    """Whether it can only be a file's name. A comment may end in .csv or hold a /, and errors go into logs."""
    return len(arg) <= _LONGEST_NAME and not _PERSONAL.search(arg)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a comment can be too long for a file name, or hold what none may hold
        return False
