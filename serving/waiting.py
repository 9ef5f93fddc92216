"""Waits for an answer as long as the request may take and its client is there.

Two timers that are nearly always cancelled: asyncio.wait_for and a task that listens for the client's leaving would
cost as much as parsing the request.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.types import Receive

from serving.body_limit import ClientLeft
from serving.problems import RequestProblem

T = TypeVar("T")

SHORT = 0.02
"""Seconds until it listens for the client's leaving. Most answers are there by then."""


async def waited_for(answer: "asyncio.Future[T]", *, timeout: float, receive: Receive | None = None) -> T:
    """The answer; raises RequestProblem `answer_timeout` or ClientLeft, with which `answer` is done too."""
    loop = asyncio.get_running_loop()
    listening: list[asyncio.Task[None]] = []
    timers = [loop.call_later(timeout, _fail, answer, _timeout)]
    if receive is not None:
        timers.append(loop.call_later(SHORT, lambda: listening.append(loop.create_task(_listen(receive, answer)))))
    try:
        return await answer
    finally:
        for timer in timers:
            timer.cancel()
        for task in listening:
            task.cancel()


async def _listen(receive: Receive, answer: "asyncio.Future[T]") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    _fail(answer, ClientLeft)


def _fail(answer: "asyncio.Future[T]", error: Callable[[], Exception]) -> None:
    if not answer.done():
        answer.set_exception(error())


def _timeout() -> RequestProblem:
    return RequestProblem(
        "answer_timeout", "the model did not answer in time; wait as Retry-After says, and send it again"
    )
