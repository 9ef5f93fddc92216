"""uvicorn's HTTP protocol with a deadline and a limit for headers, which uvicorn lacks, and problem+json for bad HTTP.

Without it, 50 connections that never finish their headers stay open for ever.
"""

import asyncio
import uuid
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.problems import MEDIA_TYPE, STATUS, problem_body

MAX_HEADER_BYTES = 64 << 10
"""nginx takes 32 kB; the parser itself has no limit."""


def patient_protocol(header_timeout: float) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn; headers have to arrive within `header_timeout` seconds."""

    class PatientProtocol(HttpToolsProtocol):
        transport: asyncio.Transport
        _deadline: asyncio.TimerHandle | None = None
        _begun = False  # a request's first byte came
        _header_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(cast(asyncio.Transport, _WholeAnswers(transport)))
            self._arm()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._deadline is not None and self._begun:
                self._header_bytes += len(data)
                if self._header_bytes > MAX_HEADER_BYTES:
                    self._refuse("headers_too_large", f"expected headers of at most {MAX_HEADER_BYTES} bytes")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._begun = True
            self._arm()

        def on_headers_complete(self) -> None:
            self._disarm()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (uvicorn's signature)
            self._refuse(
                "http_invalid", "expected HTTP/1.1; found something else; check Content-Length and the headers"
            )

        def _arm(self) -> None:
            if self._deadline is None:
                self._deadline = self.loop.call_later(header_timeout, self._too_slow)

        def _disarm(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline, self._begun, self._header_bytes = None, False, 0

        def _too_slow(self) -> None:
            if self._begun:
                self._refuse("request_timeout", f"expected all headers within {header_timeout:g} s of the first byte")
            elif not self.transport.is_closing():
                self.transport.close()  # nothing came at all: nobody waits for an answer

        def _refuse(self, code: str, detail: str) -> None:
            self._disarm()
            if self.transport.is_closing():
                return
            under_way: Any = self.cycle  # None at first
            if under_way is None or under_way.response_complete or not under_way.response_started:
                self.transport.write(_answer(code, detail))
            if under_way is not None:
                # The application may be at work on a request whose end was broken: it is not to answer it too.
                under_way.disconnected = True
                under_way.message_event.set()
            self.transport.close()

    return PatientProtocol


class _WholeAnswers:
    """A transport that sends an answer's head along with its body: half the system calls, and one packet."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._flush)  # for an answer whose body is empty, or not there yet
            return
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


def _answer(code: str, detail: str) -> bytes:
    """A whole HTTP answer; the application never saw the request."""
    identity = uuid.uuid4().hex
    body = problem_body(code, detail, identity)
    head = (
        f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nx-request-id: {identity}\r\n"
        "x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[STATUS[code]] + head.encode("ascii") + body
