"""Answers, deadlines, and clients that leave."""

import asyncio
from typing import Any

import pytest

from serving.body_limit import ClientLeft
from serving.problems import RequestProblem
from serving.waiting import waited_for


async def stays() -> Any:
    await asyncio.sleep(60)


async def leaves() -> Any:
    await asyncio.sleep(0.01)
    return {"type": "http.disconnect"}


def test_the_answer_comes_through_and_nothing_is_left_behind() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        loop.call_later(0.05, answer.set_result, 7)
        assert await waited_for(answer, timeout=5, receive=stays) == 7
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


def test_too_long_is_a_timeout() -> None:
    async def story() -> None:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with pytest.raises(RequestProblem) as caught:
            await waited_for(answer, timeout=0.01)
        assert caught.value.code == "answer_timeout"
        assert answer.done()

    asyncio.run(story())


def test_who_leaves_is_noticed() -> None:
    async def story() -> None:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with pytest.raises(ClientLeft):
            await waited_for(answer, timeout=5, receive=leaves)
        assert answer.done()

    asyncio.run(story())


def test_an_answer_that_waits_already_is_not_kept_waiting() -> None:
    async def story() -> None:
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(1)
        assert await waited_for(answer, timeout=5, receive=leaves) == 1

    asyncio.run(story())
