"""`fankui serve --workers N`: several processes on one port, each with the model, and a parent that looks after them.

The kernel spreads connections over the workers' sockets (SO_REUSEPORT). A worker that dies takes its socket with it,
so that new connections reach the others at once; the parent starts it again. SIGTERM and Ctrl-C reach every worker,
which ends once its requests are answered. The parent itself loads no model.
"""

import json
import logging
import logging.config
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.cores import usable_cores
from pipeline.errors import BundleError, FeedbackError
from serving.listening import listen, reserve
from serving.logs import logging_config, tell_start
from serving.settings import ServeSettings

_LOGGER = logging.getLogger("fankui.serving")

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder of the workers' figures to prometheus-client, which looks for it when it is imported."""

_LOOK = 0.2  # seconds between two looks at the workers where nothing happens
_SOON = 5.0  # seconds; a worker that dies sooner is started again later and later
_LONGEST_WAIT = 30.0  # seconds
_GRACE = 5.0  # seconds beyond the requests' own, before a worker that does not end is killed


@dataclass
class _Worker:
    """One process, the pipe it reports its start by, and when to start it again once it is dead."""

    process: BaseProcess
    reports: Connection
    began: float
    wait: float = 0.0
    told: bool = False  # its end was logged
    holder: str | None = None  # what it calls itself in the store
    ready: bool = False


def supervise(settings: ServeSettings) -> None:
    """Serve with several workers until told to stop.

    Raises ConfigError where the address is not free, and what keeps a worker from its first start.
    """
    logging.config.dictConfig(logging_config())
    with ExitStack() as held:
        held.enter_context(reserve(settings.host, settings.port))
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="fankui-figures-", ignore_cleanup_errors=True))
        os.environ[FOLDER_VARIABLE] = folder
        threads = settings.threads or max(1, usable_cores() // settings.workers)
        supervisor = _Supervisor(replace(settings, threads=threads, figures=Path(folder)))
        held.callback(supervisor.end)
        supervisor.start()
        supervisor.watch()


class _Supervisor:
    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")  # a fork would take locks and threads along
        self._workers: list[_Worker] = []
        self._ending = False

    def start(self) -> None:
        """Start all workers and wait until each answers. Raises what keeps one from it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_end)
        self._workers = [self._new() for _ in range(self._settings.workers)]
        for worker in self._workers:
            while not self._ending and not worker.ready:
                wait([worker.reports], timeout=_LOOK)
                report = _report(worker)
                if report is not None and "error" in report:
                    raise FeedbackError(report["code"], report["error"])
                if report is None and not worker.process.is_alive():
                    raise BundleError(
                        "worker_failed",
                        f"a worker ended while it started, with exit code {worker.process.exitcode}; "
                        "is there memory for that many models? Try fewer --workers",
                    )
                if report is not None:
                    worker.ready, about = True, report
                    worker.holder = about.pop("holder")
                    # A worker that is started again later may find a champion whose labels are others.
                    self._settings = replace(self._settings, labels=about.pop("labels"))
        if not self._ending:
            tell_start(self._settings, **about)

    def watch(self) -> None:
        """Start again whatever dies, until told to end."""
        while not self._ending:
            wait([worker.process.sentinel for worker in self._workers if not worker.told], timeout=_LOOK)
            for i, worker in enumerate(self._workers):
                self._workers[i] = self._looked_at(worker)

    def end(self) -> None:
        """Tell every worker to end, and see that it does."""
        self._ending = True
        self._pass_on()
        deadline = time.monotonic() + self._settings.shutdown_timeout + _GRACE
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.reports.close()

    def _looked_at(self, worker: _Worker) -> _Worker:
        """The worker, or the one in its place."""
        if not worker.ready and (report := _report(worker)) is not None:
            worker.ready = "error" not in report
            report.pop("labels", None)
            worker.holder = report.pop("holder", None)
            fields = {"process": worker.process.pid, **report}
            _LOGGER.log(logging.INFO if worker.ready else logging.ERROR, "worker_started", extra={"fields": fields})
        if worker.process.is_alive() or self._ending:
            return worker
        lived = time.monotonic() - worker.began
        if not worker.told:
            fields = {"process": worker.process.pid, "exit_code": worker.process.exitcode}
            _LOGGER.error("worker_died", extra={"fields": fields})
            _forget(worker.process.pid, self._settings.figures)
            if worker.holder is not None:  # in a thread: the store may be away, and a new worker is wanted now
                threading.Thread(target=_free, args=(self._settings, worker.holder), daemon=True).start()
            worker.told = True
            worker.wait = 0.0 if lived > _SOON else min(max(1.0, 2 * worker.wait), _LONGEST_WAIT)
            worker.began = time.monotonic()  # of the wait
            lived = 0.0
        if lived < worker.wait:
            return worker
        worker.reports.close()
        return self._new(wait=worker.wait)

    def _new(self, *, wait: float = 0.0) -> _Worker:
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(self._settings, theirs), name="fankui-worker")
        process.start()
        theirs.close()
        worker = _Worker(process, ours, time.monotonic(), wait)
        if self._ending:  # told while it was being started
            process.terminate()
        return worker

    def _told_to_end(self, _signal: int, _frame: FrameType | None) -> None:
        self._ending = True
        self._pass_on()

    def _pass_on(self) -> None:
        for worker in self._workers:
            if worker.process.is_alive():
                worker.process.terminate()


def _work(settings: ServeSettings, reports: Connection) -> None:
    """A worker's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which passes it on
    logging.config.dictConfig(logging_config())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Only here: prometheus-client is imported by it, which the parent must not be slowed by.
    from serving.app import create_app
    from serving.run import answer_requests
    from serving.terms import labels_digest

    try:
        app = create_app(settings)
        listening = listen(settings.host, settings.port, shared=True)
    except FeedbackError as error:
        _tell(reports, {"code": error.code, "error": error.message})
        raise SystemExit(1) from None
    active = app.state.engine.active
    keys = app.state.ring.asked
    about = {"model_version": active.version, "origin": active.resolved.origin, "api_keys": keys}
    holder = None if app.state.keeper is None else app.state.keeper.holder
    _tell(reports, {**about, "labels": labels_digest(active.predictor.schema), "holder": holder})
    answer_requests(app, listening, settings)


def _tell(reports: Connection, body: dict[str, Any]) -> None:
    reports.send_bytes(json.dumps(body).encode())
    reports.close()


def _report(worker: _Worker) -> dict[str, Any] | None:
    try:
        if worker.reports.poll():
            body: dict[str, Any] = json.loads(worker.reports.recv_bytes())
            return body
    except (EOFError, OSError):
        pass
    return None


def _end_with_parent() -> None:
    """A parent that was killed cannot say so; without it nobody would end the workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _free(settings: ServeSettings, holder: str) -> None:
    """Let the others take what a dead worker held in the store, for which they would wait up to 30 s otherwise.

    The name is of that one start of it, so that nobody who lives loses anything.
    """
    from serving.store import jobs, leases
    from serving.store.database import open_database

    def give_up(connection: Any) -> None:
        leases.give_up_all(connection, holder=holder, now=datetime.now(UTC))
        jobs.drop(connection, holder=holder, now=datetime.now(UTC))

    try:
        database = open_database(settings.store or "", timeout=settings.store_timeout)
        try:
            database.write(give_up)
        finally:
            database.close()
    except FeedbackError as error:  # its time runs out by itself
        _LOGGER.warning("leases_not_freed", extra={"fields": {"cause": getattr(error, "cause", error.code)}})


def _forget(process: int | None, folder: Path | None) -> None:
    """Take a dead worker's share out of what is true now only: comments under way and models. Its counts stay."""
    for file in folder.glob(f"gauge_live*_{process}.db") if folder is not None else ():
        file.unlink(missing_ok=True)
