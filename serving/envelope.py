"""What surrounds every request: an id, a check of its Host, security headers, a figure, a log line, and a last resort.

A plain ASGI wrapper, the outermost one of ours.
"""

import logging
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.body_limit import ClientLeft
from serving.headers import header
from serving.metrics import Metrics
from serving.problems import INTERNAL, problem_response

DOCS_PATH = "/docs"
PAGE_PATH = "/dashboard"
STATIC_PATH = "/dashboard/static/"

_LOGGER = logging.getLogger("fankui.serving")
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_LEFT = 499  # as nginx logs it; nobody receives it

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# The page of FastAPI loads its script from there.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; connect-src 'self'; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src data: https://fastapi.tiangolo.com"
)
# The page's own files and nothing else: no inline script or style, no frame, no form to elsewhere.
_PAGE_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:"
)
_KEPT = "private, max-age=31536000, immutable"  # files whose path holds their digest
_SECURITY = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in SECURITY_HEADERS.items()]


def _changed(**changes: str) -> list[tuple[bytes, bytes]]:
    told = {name.replace("_", "-").encode("ascii"): value.encode("ascii") for name, value in changes.items()}
    return [(name, told.get(name, value)) for name, value in _SECURITY]


_DOCS_SECURITY = _changed(content_security_policy=_DOCS_POLICY)
_PAGE_SECURITY = _changed(content_security_policy=_PAGE_POLICY)
_STATIC_SECURITY = _changed(content_security_policy=_PAGE_POLICY, cache_control=_KEPT)


class Envelope:
    """Wraps an application. `known_hosts` None lets every Host through."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, known_hosts: frozenset[str] | None) -> None:
        self.app = app
        self.metrics = metrics
        self.known_hosts = known_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        identity = state["request_id"] = request_id(scope["headers"])
        status = _CLIENT_LEFT

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # None of these is set by what is inside, so none can stand there twice.
                added = _security(scope["path"], status)
                message["headers"] = [*message["headers"], *added, (b"x-request-id", identity.encode("ascii"))]
            await send(message)

        try:
            await self._inside(scope, receive, send_with_headers)
        except ClientLeft:
            pass
        except Exception as error:
            _tell(error, state["request_id"])
            if status == _CLIENT_LEFT:
                response = problem_response("internal_error", INTERNAL, request_id=state["request_id"])
                await response(scope, receive, send_with_headers)
        self._note(scope, status=status, seconds=time.perf_counter() - started)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.known_hosts is None or host_name(scope["headers"]) in self.known_hosts:
            await self.app(scope, receive, send)
            return
        detail = "expected a Host that this server is known by; those who run it can add one with --allowed-host"
        response = problem_response("host_unknown", detail, request_id=scope["state"]["request_id"])
        await response(scope, receive, send)

    def _note(self, scope: Scope, *, status: int, seconds: float) -> None:
        # Only names of ours go into figures and logs: the path that was asked for may be anything.
        path = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.metrics.request(method=method, path=path, status=status, seconds=seconds)
        state: Mapping[str, Any] = scope["state"]
        fields = {
            "request_id": state["request_id"],
            "method": method,
            "path": path,
            "status": status,
            "ms": round(seconds * 1000, 2),
            **({"trace_id": state["trace_id"]} if "trace_id" in state else {}),
            **({"key": state["key_fingerprint"]} if "key_fingerprint" in state else {}),
            **state.get("log", {}),
        }
        _LOGGER.info("request", extra={"fields": fields})


def _security(path: str, status: int) -> list[tuple[bytes, bytes]]:
    if path == DOCS_PATH:
        return _DOCS_SECURITY
    if not path.startswith(PAGE_PATH):
        return _SECURITY
    return _STATIC_SECURITY if path.startswith(STATIC_PATH) and status == 200 else _PAGE_SECURITY


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's X-Request-ID where it is plain, else a new one."""
    given = header(headers, b"x-request-id")
    return given if given and _ID.fullmatch(given) else secrets.token_hex(16)


def host_name(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The Host header without its port: `127.0.0.1:8000` and `[::1]:8000` give `127.0.0.1` and `::1`."""
    host = header(headers, b"host").strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _tell(error: Exception, identity: str) -> None:
    """Log where it happened. An exception's message is left out: libraries put the input into it."""
    trace, places = error.__traceback__, []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    fields = {"request_id": identity, "error": type(error).__name__, "at": places[-6:]}
    _LOGGER.error("internal_error", extra={"fields": fields})
