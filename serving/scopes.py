"""Which scope opens which path. An application with a route that has no line here does not start."""

from collections.abc import Iterable, Set
from typing import Any

from starlette.routing import compile_path

from serving.api_keys import ADMIN, READ, SCORE, WRITE

OPEN: frozenset[str] = frozenset()
"""For everybody."""

NEEDED: dict[str, frozenset[str]] = {
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": frozenset({READ}),
    "POST /v1/classify": frozenset({SCORE}),
    "GET /v1/labels": frozenset({SCORE, READ}),
    "GET /v1/models": frozenset({SCORE, READ}),
    "POST /v1/feedback": frozenset({WRITE}),
    "GET /v1/feedback": frozenset({READ}),
    "GET /v1/feedback/{id}": frozenset({READ}),
    "POST /v1/feedback/{id}/corrections": frozenset({WRITE}),
    "POST /v1/feedback/{id}/status": frozenset({WRITE}),
    "POST /v1/feedback/{id}/calls": frozenset({WRITE}),
    "GET /v1/feedback/{id}/original": frozenset({ADMIN}),
    "DELETE /v1/feedback/{id}": frozenset({ADMIN}),
    "POST /v1/erasures": frozenset({ADMIN}),
    "GET /v1/export": frozenset({READ}),
    "GET /v1/alerts": frozenset({READ}),
    "GET /v1/webhooks": frozenset({ADMIN}),
    "GET /v1/webhooks/dead": frozenset({ADMIN}),
    "POST /v1/webhooks/replay": frozenset({ADMIN}),
    # Of a key's own jobs; an admin's opens all.
    "POST /v1/jobs": frozenset({SCORE}),
    "GET /v1/jobs": frozenset({SCORE}),
    "GET /v1/jobs/{id}": frozenset({SCORE}),
    "GET /v1/jobs/{id}/results": frozenset({SCORE}),
    "POST /v1/jobs/{id}/cancel": frozenset({SCORE}),
}
"""Method and path -> the scopes of which one is enough; admin always is."""

PAGE: dict[str, frozenset[str]] = {
    "GET /dashboard": frozenset({READ}),
    "GET /dashboard/login": OPEN,
    "POST /dashboard/login": OPEN,
    "POST /dashboard/logout": frozenset({READ}),
    "GET /dashboard/static/{version}/{name}": OPEN,
    "GET /dashboard/figures": frozenset({READ}),
    "GET /dashboard/queue": frozenset({READ}),
    "GET /dashboard/events": frozenset({READ}),
    "GET /dashboard/feedback/{id}/evidence": frozenset({READ}),
}
"""Likewise for the page, which the API's documentation leaves out."""

ANY = frozenset({SCORE, WRITE, READ, ADMIN})
"""Of a path that does not exist: who has a key is told so."""


class Scopes:
    """The tables above, for the routes of one application."""

    def __init__(self, routes: Iterable[Any], *, open_paths: Set[str]) -> None:
        """`open_paths` need no key here. Raises ValueError where a route has no line in the table."""
        lines = [("GET", path, OPEN) for path in sorted(open_paths)]
        for route in routes:
            for method in sorted(route.methods):
                line = f"{method} {route.path}"
                needed = NEEDED.get(line, PAGE.get(line))
                if needed is None:
                    raise ValueError(f"the route {line} has no line in serving/scopes.py")
                if (method, route.path, OPEN) not in lines:
                    lines.append((method, route.path, needed))
        self._plain = {(method, path): needed for method, path, needed in lines if "{" not in path}
        # All of them, for the router's patterns match more than the path itself: a line feed may follow.
        self._patterns = [(method, compile_path(path)[0], needed) for method, path, needed in lines]

    def needed(self, method: str, path: str) -> frozenset[str]:
        """The scopes of which one opens a request; OPEN where it needs no key."""
        found = self._plain.get((method, path))
        if found is not None:
            return found
        for known, pattern, needed in self._patterns:
            if known == method and pattern.match(path):
                return needed
        return ANY
