"""Bodies that are too large, too slow, or never whole; fed message by message, without a network."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from serving.body_limit import BodyLimit, ClientLeft


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    assert message["more_body"] is False
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def chunk(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def exchange(
    *messages: Message, declared: str | None = None, max_bytes: int = 8, timeout: float = 5.0
) -> tuple[list[Any], int]:
    """What was sent, and how many messages were read for it. After the last message nothing comes any more."""
    sent: list[Any] = []
    read = 0

    async def source() -> AsyncIterator[Message]:
        for message in messages:
            yield message
        await asyncio.sleep(60)

    incoming = source()

    async def receive() -> Message:
        nonlocal read
        read += 1
        return await anext(incoming)

    async def send(message: Message) -> None:
        sent.append(message | {"read": read})

    headers = [] if declared is None else [(b"content-length", declared.encode())]
    scope = {"type": "http", "headers": headers, "state": {"request_id": "r"}}

    async def story() -> None:
        await BodyLimit(echo, max_bytes=max_bytes, timeout=timeout)(scope, receive, send)

    asyncio.run(story())
    return sent, read


def refusal(sent: list[Any]) -> tuple[int, str]:
    assert dict(sent[0]["headers"])[b"connection"] == b"close"
    assert json.loads(sent[1]["body"])["status"] == sent[0]["status"]
    return sent[0]["status"], json.loads(sent[1]["body"])["code"]


def test_a_body_up_to_the_limit_arrives_in_one_piece() -> None:
    sent, _ = exchange(chunk(b"1234"), chunk(b"5678", more=False), declared="8")
    assert sent[1]["body"] == b"12345678"


def test_a_declared_length_over_the_limit_is_refused_before_reading() -> None:
    sent, _ = exchange(chunk(b"123456789", more=False), declared="9")
    assert refusal(sent) == (413, "body_too_large")
    assert sent[0]["read"] == 0
    assert json.loads(sent[1]["body"])["detail"] == "expected a body of at most 8 bytes; send several smaller batches"


@pytest.mark.parametrize("declared", [None, "3"], ids=["chunked", "lying"])
def test_without_a_true_length_it_is_refused_once_the_limit_is_passed(declared: str | None) -> None:
    sent, _ = exchange(chunk(b"1234"), chunk(b"56789"), chunk(b"", more=False), declared=declared)
    assert refusal(sent) == (413, "body_too_large")
    assert sent[0]["read"] == 2


def test_absurd_lengths_are_numbers_too() -> None:
    sent, _ = exchange(chunk(b"", more=False), declared="9" * 5000)
    assert refusal(sent) == (413, "body_too_large")


def test_what_still_comes_is_read_and_forgotten_before_the_connection_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.body_limit._LINGER", 0.05)
    sent, read = exchange(*[chunk(b"x" * 100)] * 50, declared="5000")
    assert read == 51
    assert [message.get("more_body") for message in sent] == [None, True, False]


def test_a_body_that_never_ends_is_408() -> None:
    sent, _ = exchange(chunk(b"12"), declared="8", timeout=0.05)
    assert refusal(sent) == (408, "request_timeout")
    assert json.loads(sent[1]["body"])["detail"] == (
        "expected the whole body within 0.05 s; send it faster or in smaller batches"
    )


def test_drops_do_not_reset_the_deadline() -> None:
    async def story() -> list[Any]:
        sent: list[Any] = []

        async def receive() -> Message:
            await asyncio.sleep(0.02)
            return chunk(b"")

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "headers": [], "state": {"request_id": "r"}}
        await BodyLimit(echo, max_bytes=8, timeout=0.1)(scope, receive, send)
        return sent

    assert refusal(asyncio.run(story())) == (408, "request_timeout")


def test_a_client_that_leaves_gets_no_answer() -> None:
    with pytest.raises(ClientLeft):
        exchange(chunk(b"12"), {"type": "http.disconnect"})
