"""Micro-batches by tokens: whenever the model is free it takes what waits, oldest first, up to a budget.

There is no window to wait in: a comment has company only where the model was busy when it came. A large request gives
way to comments that came after it, a little more with each of its own that goes before; so it neither holds up a single
comment for longer than one pass nor starves behind many of them. What is asked for in the background comes when nobody
waits for anything else, in passes of its own.
"""

import asyncio
import contextlib
import heapq
import itertools
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from models.batching import TOKEN_BUDGET
from pipeline.errors import FeedbackError
from pipeline.feedback import Feedback
from pipeline.text import MAX_CHARS

PATIENCE = 0.25
"""Seconds that a request steps back for each full batch of its own that goes before. Over four times what a pass takes:
so several large requests at once still let a single comment by, and one of 256 loses three seconds at the worst."""

_LOW = 5  # nice value

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one comment: the result as it is sent, and the error where that is one."""

    result: dict[str, Any]
    error: FeedbackError | None = None


@dataclass(eq=False, slots=True)
class Request(Generic[M]):
    """Comments that came together, and are answered together by one model."""

    comments: Sequence[Feedback]
    model: M
    received: datetime
    deadline: float  # of time.monotonic()
    answer: "asyncio.Future[list[Outcome]]"
    background: bool = False  # goes after all that is not; it has no places, so that none are freed for it
    queued: int = 0  # comments that wait
    unanswered: int = 0  # comments that wait or are being scored
    outcomes: list[Outcome | None] = field(default_factory=list)
    began: int = 0  # of its first pass and end of its last: nanoseconds since 1970, where traces are made
    ended: int = 0

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.answer.done() or self.deadline <= time.monotonic()


@dataclass(frozen=True, slots=True)
class Place(Generic[M]):
    """One comment of a request."""

    request: Request[M]
    position: int
    cost: int

    @property
    def comment(self) -> Feedback:
        return self.request.comments[self.position]


class Batcher(Generic[M]):
    """A queue of comments and the thread that works on it, one batch of one model at a time.

    `work` gets at least one place, all of one model, and gives an Outcome each. `freed` hears how many comments are no
    longer under way, be they scored or dropped; it is called from any thread. One that `gives_way` leaves the processor
    to others where the system can do that.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Place[M]]], Sequence[Outcome]],
        *,
        freed: Callable[[int], None],
        budget: int = TOKEN_BUDGET,
        gives_way: bool = False,
    ) -> None:
        self._work = work
        self._freed = freed
        self._budget = budget
        self._waiting: list[tuple[float, int, Place[M]]] = []  # a heap: due, number, place
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._gives_way = gives_way
        # A daemon: a model that hangs must not keep the process from ending.
        threading.Thread(target=self._run, name="fankui-model", daemon=True).start()

    def put(self, request: Request[M]) -> None:
        """Queue a request's comments. Its `answer` gets their outcomes, or what `work` raised."""
        count = len(request.comments)
        request.queued = request.unanswered = count
        request.outcomes = [None] * count
        due, spent = time.monotonic(), 0
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            for position, comment in enumerate(request.comments):
                place = Place(request, position, cost(comment.text))
                turn = math.inf if request.background else due + PATIENCE * spent / self._budget
                entry = (turn, next(self._numbers), place)
                heapq.heappush(self._waiting, entry)
                spent += place.cost
            self._changed.notify()

    def leave(self, request: Request[M]) -> None:
        """Nobody waits for the request any more, or it is answered: what still waits of it is dropped."""
        with self._changed:
            count, request.queued = request.queued, 0
        if count and not request.background:
            self._freed(count)

    def close(self) -> None:
        """Let the thread end after the batch that it is at."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        if self._gives_way and sys.platform == "linux":
            # There a thread has a priority of its own; a third of a core's time while another batcher wants it.
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW)
        while batch := self._take():
            outcomes: Sequence[Outcome] = ()
            failure: Exception | None = None
            try:
                outcomes = self._work(batch)
            except Exception as error:
                failure = error
            if not batch[0].request.background:
                self._freed(len(batch))
            self._answer(batch, outcomes, failure)

    def _take(self) -> list[Place[M]]:
        """The next batch; empty once the batcher is closed."""
        with self._changed:
            while not self._closed:
                if batch := self._cut():
                    return batch
                self._changed.wait()
        return []

    def _cut(self) -> list[Place[M]]:
        batch: list[Place[M]] = []
        later: list[tuple[float, int, Place[M]]] = []
        spent = 0
        while self._waiting:
            place = self._waiting[0][2]
            if place.request.queued and not place.request.given_up:
                if batch and place.request.model is not batch[0].request.model:
                    later.append(heapq.heappop(self._waiting))
                    continue
                if batch and spent + place.cost > self._budget:
                    break
                # A pass that somebody waits for is not made longer.
                if batch and place.request.background is not batch[0].request.background:
                    break
                batch.append(place)
                spent += place.cost
                place.request.queued -= 1
            heapq.heappop(self._waiting)
        for entry in later:
            heapq.heappush(self._waiting, entry)
        return batch

    def _answer(self, batch: Sequence[Place[M]], outcomes: Sequence[Outcome], failure: Exception | None) -> None:
        answered: dict[Request[M], None] = {}
        with self._changed:
            for i, place in enumerate(batch):
                request = place.request
                request.unanswered -= 1
                if failure is None:
                    request.outcomes[place.position] = outcomes[i]
                if failure is not None or not request.unanswered:
                    answered[request] = None
        by_loop: dict[asyncio.AbstractEventLoop, list[Request[M]]] = {}
        for request in answered:
            by_loop.setdefault(request.answer.get_loop(), []).append(request)
        for loop, requests in by_loop.items():
            # One call for all that a batch finished: waking the loop costs as much as an answer.
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all who waited
                loop.call_soon_threadsafe(_settle, requests, failure)


def cost(text: str) -> int:
    """About how many tokens a text has: one a character, which Chinese does not exceed, and the two around it.

    Counted exactly it would be tokenized once more, for no better batches.
    """
    return min(len(text), MAX_CHARS) + 2


def _settle(requests: Sequence[Request[Any]], failure: Exception | None) -> None:
    for request in requests:
        if request.answer.done():
            continue
        if failure is not None:
            request.answer.set_exception(failure)
        else:
            request.answer.set_result([outcome for outcome in request.outcomes if outcome is not None])
