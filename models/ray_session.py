"""Ray, started quietly on this machine or joined where it runs already, and shut down whatever happens."""

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.errors import FeedbackError

OBJECT_STORE_BYTES = 512 << 20
"""Of one machine: the model's files and some slices on their way, a few MB each."""

_PATIENCE = 10.0  # seconds

_UNLESS_TOLD = {
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray reports to its makers unless told not to
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what it would otherwise warn about
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",  # failures come as exceptions, without two pages of trace
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_enable_open_telemetry": "0",
    # Ray gives its workers a priority of 15: beside one busy process they got nothing done in four minutes.
    "RAY_worker_niceness": "0",
}


class ClusterError(FeedbackError):
    """A Ray that cannot be reached, or that gave up."""


@dataclass(frozen=True, slots=True)
class Session:
    """A Ray that answers."""

    actors: int  # one a core
    local: bool


@contextmanager
def ray_session(address: str | None, *, actors: int | None = None, dashboard: bool = False) -> Iterator[Session]:
    """Join the Ray at `address` (else at RAY_ADDRESS, else start one of `actors` cores here), and leave it at the end.

    Raises ClusterError `ray_unreachable`, or `ray_failed` for whatever Ray itself raises inside the block.
    """
    for name, value in _UNLESS_TOLD.items():
        os.environ.setdefault(name, value)
    import ray
    from ray.exceptions import RayError

    logging.getLogger("ray").setLevel(logging.ERROR)
    where = address or os.environ.get("RAY_ADDRESS")
    folder = None if where else _folder()
    try:
        _start(where, folder, actors, dashboard)
        cores = int(ray.cluster_resources().get("CPU", 1))
        with warnings.catch_warnings():
            # Of its own settings' defaults, and of more actors than there is work for.
            warnings.filterwarnings("ignore", module=r"ray\.")
            yield Session(actors or max(1, cores), local=where is None)
    except RayError as error:
        raise ClusterError("ray_failed", _told(error)) from error
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lasting_interrupt() -> Iterator[Callable[[], None]]:
    """What it gives raises KeyboardInterrupt if a Ctrl-C has come since: to be called between pieces of work.

    Python raises it wherever the program happens to be, and inside a callback of Ray's C++ it is swallowed without a
    word. Outside the main thread, where Python allows no handlers, there is none.
    """
    seen = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        seen.set()
        raise KeyboardInterrupt

    def check() -> None:
        if seen.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def _start(where: str | None, folder: Path | None, actors: int | None, dashboard: bool) -> None:
    import ray

    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if where is None:
        options |= {
            "address": "local",  # never one that somebody else happens to run on this machine
            "num_cpus": actors or os.cpu_count(),
            "include_dashboard": dashboard,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_temp_dir": str(folder),
        }
    else:
        _require_open(where)
        options["address"] = where
    try:
        with _silent_stderr():
            ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError, OSError, TimeoutError) as error:
        place = "on this machine" if where is None else f"at {where}"
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        advice = "" if where is None else "; `ray status --address ADDRESS` must answer from here"
        raise ClusterError("ray_unreachable", f"no Ray {place} ({first}){advice}") from None


def _require_open(where: str) -> None:
    """Ray itself tries for minutes. Raises ClusterError `ray_unreachable`."""
    host, colon, port = where.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():  # "auto", say
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClusterError(
            "ray_unreachable",
            f"no Ray at {where} ({reason}); expected HOST:PORT of a cluster's head, as `ray start --head` prints it",
        ) from None


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Ray's C++ tells the terminal which log level it was given; no logger of Python's sees that."""
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _folder() -> Path:
    # Ray makes sockets in there, whose paths may have 107 characters; its own part of them has 75.
    base = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="ray-", dir=base if len(base) <= 20 else "/tmp"))


def _told(error: Exception) -> str:
    """Ray's own messages quote what the tasks held, and so may hold a comment; the type does not."""
    cause = getattr(error, "cause", None)
    names = " <- ".join(type(one).__name__ for one in (error, cause) if one is not None)
    return (
        f"Ray gave up ({names}); what is scored is kept, the same command goes on from there. If it happens again, "
        "look at Ray's own logs on the cluster, or score without --engine"
    )
