"""Checkpoints of a training that did not end: they are gone on from, never written over."""

from pathlib import Path

from pipeline.errors import UsageError

PREFIX = "step-"
"""Of the folder of a checkpoint; the number of steps done follows. Unfinished folders begin with a dot."""


def complete_checkpoints(folder: Path) -> list[Path]:
    """Those in a folder of checkpoints, the newest last."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.is_dir()) if folder.is_dir() else []


def refuse_unfinished(output: Path, checkpoints: Path, *, what: str) -> None:
    """Raise UsageError `WHAT_unfinished` where there is a checkpoint that a new start would remove."""
    found = complete_checkpoints(checkpoints)
    if found:
        step = int(found[-1].name.removeprefix(PREFIX))
        raise UsageError(
            f"{what}_unfinished",
            f"{output} holds an unfinished {what} (step {step:,}); go on with --resume, or name another --output",
        )


def begins_anew(folder: Path) -> str:
    """What to say where --resume finds nothing to go on from."""
    return f"no checkpoint in {folder}: it begins anew"
