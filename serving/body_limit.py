"""Reads a request's body before the application starts, up to a limit and a deadline: 413 and 408 come from here.

A declared length over the limit is refused before a byte of the body is read; one that lies, or none (chunked), as
soon as the limit is passed. uvicorn itself has neither limit.
"""

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.headers import header
from serving.problems import RequestProblem, problem_response

_LINGER = 2.0  # seconds; closing while the client still sends would destroy the answer on its way (TCP reset)


class ClientLeft(Exception):  # noqa: N818  not an error, and nobody is there to be told
    """The client closed the connection before its request was whole."""


class BodyLimit:
    """Wraps an application, which then finds the whole body in one message."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout: float) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check_declared(header(scope["headers"], b"content-length"))
            body = await self._read(receive)
        except RequestProblem as problem:
            await refuse(problem, scope, receive, send)
            return
        waiting = [body]

        async def replay() -> Message:
            if waiting:
                return {"type": "http.request", "body": waiting.pop(), "more_body": False}
            return await receive()

        await self.app(scope, replay, send)

    def _check_declared(self, declared: str) -> None:
        # What is no number was refused by the HTTP parser already.
        if declared.isdecimal() and int(declared[:20]) > self.max_bytes:
            raise self._too_large()

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        length = 0
        try:
            async with asyncio.timeout(self.timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientLeft
                    chunks.append(message.get("body", b""))
                    length += len(chunks[-1])
                    if length > self.max_bytes:
                        raise self._too_large()
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            detail = f"expected the whole body within {self.timeout:g} s; send it faster or in smaller batches"
            raise RequestProblem("request_timeout", detail) from None

    def _too_large(self) -> RequestProblem:
        return RequestProblem(
            "body_too_large", f"expected a body of at most {self.max_bytes} bytes; send several smaller batches"
        )


async def refuse(
    problem: RequestProblem, scope: Scope, receive: Receive, send: Send, *, headers: Mapping[str, str] | None = None
) -> None:
    """Answer at once, then read and forget for a moment what still comes in, then close the connection."""
    response = problem_response(
        problem.code,
        problem.message,
        request_id=scope["state"]["request_id"],
        headers={**(headers or {}), "Connection": "close"},
    )
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if problem.code != "request_timeout":
        try:
            async with asyncio.timeout(_LINGER):
                while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                    pass
        except TimeoutError:
            pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
