"""A receiver of webhooks on the loopback: real HTTP, keeps what it got, answers as it is told."""

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True, slots=True)
class Got:
    """One request."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float

    def verified(self, secret: str) -> Any:
        """The payload; raises where the signature, or the time, is not right."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[["Receiver", BaseHTTPRequestHandler], None]


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer every request like that."""

    def answer(_: "Receiver", handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class Receiver:
    """A server on a free port; `answer` may be changed at any time."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[Got] = []
        self.answer: Answer = answering(204)
        self.release = threading.Event()  # for answers that wait
        self.written = 0  # bytes of answers that have no end
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.handle(Got(self.path, headers, body, time.monotonic()), self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that left
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hooks"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def handle(self, got: Got, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.got.append(got)
            self._at_once += 1
            self.written = 0  # bytes of answers that have no end
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.answer(self, handler)
        finally:
            with self._lock:
                self._at_once -= 1

    def wait_for(self, count: int, *, seconds: float = 20.0) -> list[Got]:
        """The requests, once there are that many."""
        deadline = time.monotonic() + seconds
        while len(self.got) < count:
            assert time.monotonic() < deadline, f"{len(self.got)} of {count} requests"
            time.sleep(0.02)
        return self.got

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
