"""One run at a time for each target: two that write the same answers' files would mix them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from models.write_failed import write_failed
from pipeline.errors import UsageError


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Until the end no other process scores into `target`. A lock of a killed process is free.

    Raises UsageError `job_running`, DataError `write_failed`.
    """
    path = target.parent / f".{target.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(path)
    except OSError as error:
        raise write_failed(path, error) from None
    if lock is None:
        raise UsageError("job_running", f"{target} is being scored by another run; wait for it to end")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.close()


def _locked(path: Path) -> IO[bytes] | None:
    """The lock, or None where another process holds it."""
    while True:
        lock = path.open("ab")
        if sys.platform == "win32":
            return lock  # no flock there, and no way to remove a file that is open
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return None
        try:
            # Who held it may have removed it between our opening and our locking it.
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        except FileNotFoundError:
            pass
        lock.close()
