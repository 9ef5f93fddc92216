"""Sends one message: resolved once, checked, and connected to the very address that was checked.

A name that answers with a public address when it is asked, and with another when it is connected to (DNS rebinding),
gains nothing; certificate, SNI and Host are still the name's. No redirect is followed, no proxy of the environment is
used, and of the answer only the status and Retry-After are looked at.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpcore2

from pipeline.errors import ConfigError, UsageError
from serving.webhooks.addresses import AddressRefused, Guard
from serving.webhooks.schedule import retry_after

CONNECT = 5.0  # seconds, for one address
TOTAL = 15.0  # seconds, for all of it; the specification has 15 to 30
_LONGEST_ANSWER = 1024  # bytes that are read of a body
_BODY = 1.0  # seconds for them
_IDLE = 15.0  # seconds that a connection is kept for the next message
_RESOLVERS = 32  # threads, for getaddrinfo may take its time

_HEADERS: dict[bytes | str, bytes | str] = {"Content-Type": "application/json", "User-Agent": "fankui-webhooks/1"}

_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (UsageError, "url_refused"),  # it was allowed when it was added, and is not any more
    (AddressRefused, "address_refused"),
    (socket.gaierror, "name_unknown"),
    (TimeoutError, "timeout"),
    (httpcore2.TimeoutException, "timeout"),
    (httpcore2.ConnectError, "connect"),
    (ssl.SSLError, "tls"),
    (httpcore2.NetworkError, "connection"),
    (httpcore2.ProtocolError, "not_http"),
    (OSError, "connection"),
)
"""What an attempt ends with -> its code; the first that fits."""

Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt. `error` is None where it was received, else a short code without values."""

    error: str | None
    status: int | None = None
    wait: timedelta | None = None  # what the receiver asked for


class Sender:
    """A client for messages. Used in one event loop, until `close`."""

    def __init__(
        self,
        guard: Guard,
        *,
        timeout: float = TOTAL,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`timeout` is in seconds; `resolve` stands in for getaddrinfo, `tls` for the system's authorities.

        Raises ConfigError `webhook_tls_invalid`.
        """
        self.guard = guard
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="fankui-webhooks-resolve")
        self._backend = _CheckedBackend(guard, resolve or _getaddrinfo, self._threads)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls or _authorities(),
            max_connections=None,  # whoever calls bounds them
            max_keepalive_connections=32,
            keepalive_expiry=_IDLE,
            network_backend=self._backend,
        )

    async def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Outcome:
        """Post a message. Raises nothing."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._send(url, body, headers)
        except tuple(kind for kind, _ in _ERRORS) as error:
            return Outcome(_code(error))

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        target = self.guard.target(url)
        sent: dict[bytes | str, bytes | str] = {"Host": target.authority, **_HEADERS}
        sent.update(headers)
        address = httpcore2.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        timeouts = {"connect": CONNECT, "read": self._timeout, "write": self._timeout, "pool": self._timeout}
        request = self._pool.stream(
            "POST",
            address,
            headers=sent,
            content=body,
            extensions={"timeout": timeouts, "sni_hostname": target.host.rstrip(".")},
        )
        async with request as response:
            found = {name.lower(): value for name, value in response.headers}
            await _read_a_little(response)
        return _outcome(response.status, found.get(b"retry-after"))


class _CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves, checks and connects; the only way from here to the network."""

    def __init__(self, guard: Guard, resolve: Resolve, threads: ThreadPoolExecutor) -> None:
        self._guard = guard
        self._resolve = resolve
        self._threads = threads
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises AddressRefused where any of the name's addresses is not allowed, for then it is not to be trusted."""
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._threads, self._resolve, host, port)
        for address in addresses:
            self._guard.check(address)
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _authorities() -> ssl.SSLContext:
    try:
        return httpcore2.default_ssl_context()
    except (OSError, ssl.SSLError):
        raise ConfigError(
            "webhook_tls_invalid",
            "SSL_CERT_FILE or SSL_CERT_DIR: expected certificates of authorities in PEM form; found something else",
        ) from None


async def _read_a_little(response: httpcore2.Response) -> None:
    """A short body to its end, so that the connection can be used again; a long or slow one ends the connection.

    The status is there by then, and whatever happens to the body changes nothing about it.
    """
    total = 0
    with suppress(TimeoutError, httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        async with asyncio.timeout(_BODY), aclosing(response.aiter_stream()) as chunks:
            async for chunk in chunks:
                total += len(chunk)
                if total > _LONGEST_ANSWER:
                    return


def _code(error: Exception) -> str:
    # The pool raises it `from None`; what it was made of is still its context.
    if isinstance(error.__context__, ssl.SSLError):
        return "tls"
    return next(code for kind, code in _ERRORS if isinstance(error, kind))


def _outcome(status: int, wait: bytes | None) -> Outcome:
    if 200 <= status < 300:
        return Outcome(None, status)
    asked = retry_after(None if wait is None else wait.decode("latin-1"), now=datetime.now(UTC))
    if status == 410:
        return Outcome("gone", status)
    return Outcome("redirect" if 300 <= status < 400 else "status", status, asked)


def _getaddrinfo(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
