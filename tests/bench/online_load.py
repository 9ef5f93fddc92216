"""Load for an HTTP server from one process: as many clients as wanted, or arrivals by chance (Poisson).

Bytes are written and read without a client library: 20 µs a request, which is 3 % of a core at 1,500 a second, so that
the server has the cores that it shares with this.
"""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import uvloop

_CONNECTIONS = 256  # of an open loop; who finds none free waits, and the wait counts


@dataclass
class Load:
    """What one stretch of load gave."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # seconds
    lags: list[float] = field(default_factory=list)  # seconds by which arrivals were sent late
    failures: int = 0
    processor: float = 0.0  # share of a core that the load itself took

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        return float(np.quantile(self.latencies, share)) * 1000 if self.latencies else float("nan")


def closed_loop(port: int, requests: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """Each client sends its next request when it has the answer to the last."""
    return uvloop.run(_closed(port, requests, clients, seconds))


def open_loop(port: int, requests: Sequence[bytes], *, rate: float, seconds: float, seed: int) -> Load:
    """Requests at times drawn by chance, `rate` a second, whether or not the last ones are answered.

    Latencies run from the time that was drawn. Times are whole milliseconds, as the loop's clock has them.
    """
    return uvloop.run(_open(port, requests, rate, seconds, seed))


class _Client(asyncio.Protocol):
    """One kept connection with at most one request on it."""

    def __init__(self, answered: Callable[["_Client", float | None], None]) -> None:
        """`answered` hears from when a good answer's time runs, or None."""
        self._answered = answered
        self._received = b""
        self._length = -1
        self.since = 0.0
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.since:
            self.since = 0.0
            self._answered(self, None)

    def ask(self, request: bytes, *, since: float) -> None:
        self.since = since
        if self.transport is None:
            self.since = 0.0
            self._answered(self, None)
            return
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._length < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._received[:end].lower()
            at = head.find(b"content-length:")
            if at < 0:
                raise RuntimeError("expected an answer with Content-Length")
            self._length = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._received) >= self._length:
            good = self._received.startswith(b"HTTP/1.1 200")
            self._received, self._length = b"", -1
            since, self.since = self.since, 0.0
            self._answered(self, since if good else None)


async def _closed(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    found, queue = Load(), itertools.cycle(requests)
    done, idle = loop.create_future(), 0
    clock = time.perf_counter
    processor, began = time.process_time(), clock()
    until = began + seconds

    def answered(client: _Client, since: float | None) -> None:
        nonlocal idle
        now = clock()
        if since is not None:
            found.latencies.append(now - since)
        else:
            found.failures += 1
        if now < until and client.transport is not None:
            client.ask(next(queue), since=clock())
            return
        idle += 1
        if idle == clients:
            done.set_result(None)

    connected = [await loop.create_connection(lambda: _Client(answered), "127.0.0.1", port) for _ in range(clients)]
    for _, client in connected:
        client.ask(next(queue), since=clock())
    await done
    found.seconds = clock() - began
    found.processor = (time.process_time() - processor) / found.seconds
    for transport, _ in connected:
        transport.close()
    return found


async def _open(port: int, requests: Sequence[bytes], rate: float, seconds: float, seed: int) -> Load:
    loop = asyncio.get_running_loop()
    found, chance, queue = Load(), random.Random(seed), itertools.cycle(requests)
    free: list[_Client] = []
    waiting: deque[float] = deque()
    under_way, over = 0, loop.create_future()
    last = False

    def answered(client: _Client, since: float | None) -> None:
        nonlocal under_way
        under_way -= 1
        if since is not None:
            found.latencies.append(loop.time() - since)
        else:
            found.failures += 1
        if waiting:
            send(client, waiting.popleft())
        else:
            free.append(client)
        if last and not under_way and not over.done():
            over.set_result(None)

    def send(client: _Client, since: float) -> None:
        nonlocal under_way
        under_way += 1
        client.ask(next(queue), since=since)

    for _ in range(_CONNECTIONS):
        _, client = await loop.create_connection(lambda: _Client(answered), "127.0.0.1", port)
        free.append(client)
    processor, began = time.process_time(), time.perf_counter()
    start = loop.time() + 0.01
    moments = _moments(chance, rate, seconds)
    for moment in moments:
        at = start + moment
        if (delay := at - loop.time()) > 0:
            await asyncio.sleep(delay)
        found.lags.append(max(0.0, loop.time() - at))
        if free:
            send(free.pop(0), at)
        else:
            waiting.append(at)
    last = True
    if under_way:
        await asyncio.wait_for(over, 60)
    found.seconds = time.perf_counter() - began
    found.processor = (time.process_time() - processor) / found.seconds
    return found


def _moments(chance: random.Random, rate: float, seconds: float) -> list[float]:
    moments, at = [], 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        moments.append(round(at, 3))
    return moments
