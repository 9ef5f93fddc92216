"""What a server tells a tracer of a request, and who wants to hear it (serving/otlp.py)."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Stretch:
    """When comments were queued, when their pass began and when it ended: nanoseconds since 1970, 0 for not at all."""

    queued: int
    began: int
    ended: int


class Tracing(Protocol):
    """Spans hang below that of the request which the calling task is in. None holds text, a key, a path or a query."""

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The application with a span around every request."""
        ...

    def scored(self, stretch: Stretch, *, comments: int, model_version: str) -> None:
        """Tell of comments that have been queued and scored, or given up."""
        ...

    def span(self, name: str) -> AbstractContextManager[object]:
        """A span around what is done in it."""
        ...

    def close(self) -> None:
        """Send what is left, within seconds."""
        ...
