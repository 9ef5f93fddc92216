"""Who scores: this process, or several that hold a model each.

Processes and not threads: finding windows, n-grams and decisions is work in Python that holds the interpreter's lock,
0.2 ms a text when this was written; beside a network that takes 1 to 2 ms, ten threads would wait for each other.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Protocol

from models.batch_scoring import Item, Scored, ScoreOptions, Scorer
from models.loading import ResolvedModel, load_predictor
from pipeline.errors import BundleError, FeedbackError, ModelError
from pipeline.prepare import Prepared
from pipeline.routing import Origin, RoutingPolicy

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Texts = tuple[list[str], list[bool], list[str], list[str | None], list[Origin | None]]
"""Items on their way to a worker: prepared texts, whether they were cut, the cut-off tails, raw texts, origins."""


class Pool(Protocol):
    """Takes jobs of items."""

    workers: int
    room: int  # jobs that may be under way at once

    def submit(self, items: Sequence[Item]) -> "Future[Scored]": ...

    def result(self, future: "Future[Scored]") -> Scored: ...

    def close(self, *, at_once: bool) -> None: ...


class InProcess:
    """Scores at once, on the cores that the model was given."""

    workers = 1
    room = 1

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def submit(self, items: Sequence[Item]) -> "Future[Scored]":
        future: Future[Scored] = Future()
        future.set_result(self._scorer.score(items))
        return future

    def result(self, future: "Future[Scored]") -> Scored:
        return future.result()

    def close(self, *, at_once: bool) -> None:
        """Nothing to end."""


@dataclass(frozen=True)
class WorkerSetting:
    """What a worker needs to answer as its parent would."""

    model: ResolvedModel
    model_version: str
    policy: RoutingPolicy
    options: ScoreOptions


class WorkerProcesses:
    """`workers` processes with one model and one thread each. They end when this process ends, however it does."""

    def __init__(self, setting: WorkerSetting, workers: int) -> None:
        self.workers = workers
        self.room = 2 * workers  # one that it works on, one that waits
        context = get_context("spawn")  # a forked copy of onnxruntime's threads would hang
        theirs, self._alive = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin, initargs=(setting, theirs)
        )

    def submit(self, items: Sequence[Item]) -> "Future[Scored]":
        """Hand over a job; a process is started for it where there may be one more."""
        prepared = [item.prepared for item in items]
        texts = ([one.text for one in prepared], [one.truncated for one in prepared], [one.tail for one in prepared])
        with _undisturbed(), _told():
            rest = ([item.raw for item in items], [item.origin for item in items])
            return self._executor.submit(_score, (*texts, *rest))  # type: ignore[arg-type]

    def result(self, future: "Future[Scored]") -> Scored:
        """A job's answers. Raises ModelError `worker_lost`, and what the worker could not begin with."""
        with _told():
            found: Scored | tuple[str, str] = future.result()
        if isinstance(found, tuple):
            raise BundleError(*found)
        return found

    def close(self, *, at_once: bool) -> None:
        """End the processes; `at_once`: in the middle of what they do."""
        if at_once:
            self._alive.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._alive.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise ModelError(
            "worker_lost",
            "a worker process ended before its time (killed, or out of memory); what is scored is kept: run the same "
            "command again, with fewer --workers where memory is short",
            cause="BrokenProcessPool",
        ) from None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes that start here do not hear Ctrl-C, which the terminal sends to all, and compute on one thread."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if sys.platform != "win32" else None
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


# ---- in the worker

_scorer: list[Scorer | FeedbackError] = []
"""The worker's one scorer, or why there is none: an executor's initializer has no other place to leave it."""


def _begin(setting: WorkerSetting, parent: Connection) -> None:
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        predictor = load_predictor(setting.model, threads=1)
        if predictor.model_version != setting.model_version:
            raise BundleError(
                "bundle_altered", f"{setting.model.path} changed while it was used; run the command again"
            )
        _scorer.append(Scorer(predictor, setting.policy, setting.options))
    except FeedbackError as error:
        _scorer.append(error)


def _end_with(parent: Connection) -> None:
    """Nothing is ever sent: the pipe ends when the parent closes it or is gone."""
    try:
        parent.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _score(texts: Texts) -> Scored | tuple[str, str]:
    scorer = _scorer[0]
    if isinstance(scorer, FeedbackError):
        return scorer.code, scorer.message  # an exception with two arguments does not come through a pipe
    rows = zip(*texts, strict=True)
    return scorer.score([Item(Prepared(text, cut, (), (), tail), raw, origin) for text, cut, tail, raw, origin in rows])
