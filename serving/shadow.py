"""A challenger that scores a share of what the champion answered; only how often both agree is told.

It runs behind the answers, in a thread of the lowest priority that begins a comment only while nothing is under way.
What it does not get to is dropped and counted.
"""

import asyncio
import contextlib
import logging
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.answer import item
from models.loading import ResolvedModel
from models.predictor import BundlePredictor
from models.resolving import resolve_model
from pipeline.errors import FeedbackError
from pipeline.feedback import Feedback
from pipeline.schema import Kind, LabelSchema
from serving.active_model import ActiveModel, load_active
from serving.shadow_metrics import ShadowMetrics

_LOGGER = logging.getLogger("fankui.serving")

WAITING = 512
"""Comments that wait at most; those of a burst, to be scored after it."""

LONGEST = 10_000
"""Characters of a comment that waits: what a model reads of it has 2,000, and memory stays bounded."""

_LOWEST = 19  # nice value
_REST = 0.005  # seconds between two looks whether the model that answers is free


@dataclass(frozen=True, slots=True)
class _Waiting:
    champion: BundlePredictor
    text: str
    result: Mapping[str, Any]  # as the client got it


class Shadow:
    """The model that `name` names and the thread that it works in. `idle` says whether nobody waits for an answer."""

    def __init__(
        self, name: str, *, share: float, seconds: float, metrics: ShadowMetrics, idle: Callable[[], bool]
    ) -> None:
        self.challenger: ActiveModel | None = None
        self._name = name
        self._share = share
        self._seconds = seconds
        self._metrics = metrics
        self._idle = idle
        self._resolved: ResolvedModel | None = None
        self._told = self._failed = ""
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._random = random.Random()
        threading.Thread(target=self._run, name="fankui-shadow", daemon=True).start()

    def offer(
        self, champion: BundlePredictor, comments: Sequence[Feedback], results: Sequence[Mapping[str, Any]]
    ) -> None:
        """Take a share of comments that were answered with these results. Never waits, never raises."""
        challenger = self.challenger
        if challenger is None or challenger.version == champion.model_version:
            return
        taken = [
            _Waiting(champion, comment.text, result)
            for comment, result in zip(comments, results, strict=True)
            if self._random.random() < self._share and "labels" in result
        ]
        if not taken:
            return
        with self._changed:
            room = WAITING - len(self._waiting)
            kept = [entry for entry in taken if len(entry.text) <= LONGEST][:room]
            self._waiting.extend(kept)
            self._changed.notify()
        if len(kept) < len(taken):
            self._metrics.dropped(challenger.version, len(taken) - len(kept))

    async def follow(self) -> None:
        """Load the model, and the next one when its alias moves, until cancelled. A failure is told and tried again."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(self._seconds)

    def look(self) -> None:
        """One look at what the name stands for."""
        try:
            resolved = resolve_model(self._name)
            if resolved == self._resolved:
                return
            challenger = load_active(resolved, threads=1)
        except FeedbackError as error:
            self._tell(f"{error.code}: {error.message}")
        except Exception as error:  # what a registry's client raises; its message may name passwords of a URL
            self._tell(type(error).__name__)
        else:
            self._resolved, self._told = resolved, ""
            self.challenger = challenger
            self._metrics.loaded(challenger.version)
            _LOGGER.info("shadow_loaded", extra={"fields": {"model_version": challenger.version}})

    def close(self) -> None:
        """Let the thread end; what waits is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            self._metrics.not_loaded()
            _LOGGER.error("shadow_not_loaded", extra={"fields": {"why": why}})

    def _run(self) -> None:
        if sys.platform == "linux":  # there a thread has a priority of its own
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)
        while (entry := self._next()) is not None:
            while not (self._idle() or self._closed):
                time.sleep(_REST)
            challenger = self.challenger
            if challenger is not None and not self._closed:
                self._compare(entry, challenger.predictor)

    def _next(self) -> _Waiting | None:
        with self._changed:
            while not (self._waiting or self._closed):
                self._changed.wait()
            return None if self._closed else self._waiting.popleft()

    def _compare(self, entry: _Waiting, challenger: BundlePredictor) -> None:
        began = time.monotonic()
        try:
            (prediction,) = challenger.predict([entry.text])
            result = item(prediction, decision=None)
            found = agreement(entry.result, result, entry.champion.schema, challenger.schema)
        except Exception as error:  # a model on trial may do anything; the next comment is tried again
            self._metrics.failed(challenger.model_version)
            if type(error).__name__ != self._failed:
                self._failed = type(error).__name__
                _LOGGER.error("shadow_failed", extra={"fields": {"error": self._failed}})
            return
        self._metrics.compared(
            found,
            champion=entry.champion.model_version,
            challenger=challenger.model_version,
            seconds=time.monotonic() - began,
        )


def agreement(
    first: Mapping[str, Any], second: Mapping[str, Any], ours: LabelSchema, theirs: LabelSchema
) -> dict[str, bool]:
    """Task -> whether both results have the same label, labels or aspects; of tasks that both models have alike."""
    found = {}
    for task in ours.tasks:
        if task.name not in theirs:
            continue
        other = theirs.task(task.name)
        if (other.kind, other.keys) != (task.kind, task.keys):
            continue
        read = _aspects if task.kind is Kind.ASPECT else _labels
        found[task.name] = read(first, task.name) == read(second, task.name)
    return found


def _labels(result: Mapping[str, Any], task: str) -> set[str]:
    label = result["labels"][task]["label"]
    return {label} if isinstance(label, str) else set(label)


def _aspects(result: Mapping[str, Any], task: str) -> set[tuple[str, str]]:
    # `task` stands there only where the schema has several aspect tasks.
    return {
        (aspect["category"], aspect["polarity"]) for aspect in result["aspects"] if aspect.get("task", task) == task
    }
