"""Traces over OTLP/HTTP (`--otlp`, extra `[otel]`); further settings are OpenTelemetry's own variables (OTEL_…).

Our own spans instead of the ready instrumentation of ASGI: that puts paths and queries into attributes, and a query
here may be a customer's reference.

    POST /v1/feedback            http.request.method, http.route, http.response.status_code, fankui.request_id
      store.claim
      queue                      waiting for the model
      forward                    fankui.comments, fankui.model_version; the whole pass, in which others' comments may be
      store.commit
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AnyValue
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.envelope import METHODS
from serving.tracing import Stretch

_PATIENCE = 5.0  # seconds that the last spans get at the end, where the collector is slow or away


class OtlpTracing:
    """Sends spans to a collector, in a thread of its own; what that cannot get rid of is dropped."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` is the collector's, without /v1/traces."""
        named = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        exporter = OTLPSpanExporter(endpoint=named or f"{endpoint.rstrip('/')}/v1/traces")
        self._provider = TracerProvider(resource=_resource())
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("fankui")

    def wrap(self, app: ASGIApp) -> ASGIApp:
        return _Traced(app, self._tracer)

    def scored(self, stretch: Stretch, *, comments: int, model_version: str) -> None:
        now = time.time_ns()
        began = stretch.began or now
        self._tracer.start_span("queue", start_time=stretch.queued).end(began)
        if stretch.began:
            attributes: dict[str, AnyValue] = {"fankui.comments": comments, "fankui.model_version": model_version}
            self._tracer.start_span("forward", start_time=began, attributes=attributes).end(stretch.ended or now)

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        # An exception's message may hold the comment; its type is in the log.
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
            yield

    def close(self) -> None:
        # A daemon: a collector that is away must not keep the process from ending.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_PATIENCE)


class _Traced:
    def __init__(self, app: ASGIApp, tracer: trace.Tracer) -> None:
        self.app = app
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        parent = self._propagator.extract(_carrier(scope["headers"]))
        span = self._tracer.start_span(method, context=parent, kind=trace.SpanKind.SERVER)
        found = span.get_span_context()
        scope.setdefault("state", {})["trace_id"] = trace.format_trace_id(found.trace_id)
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = context.attach(trace.set_span_in_context(span))
        try:
            await self.app(scope, receive, noting)
        finally:
            context.detach(token)
            route = getattr(scope.get("route"), "path", "unknown")
            span.update_name(f"{method} {route}")
            span.set_attributes({"http.request.method": method, "http.route": route})
            span.set_attribute("fankui.request_id", scope["state"].get("request_id", ""))
            if status:
                span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(trace.StatusCode.ERROR)
            span.end()


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    wanted = (b"traceparent", b"tracestate")
    return {name.decode("ascii"): value.decode("latin-1") for name, value in headers if name in wanted}


def _resource() -> Resource:
    attributes = {}
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes["service.name"] = "fankui"
    with suppress(PackageNotFoundError):
        attributes["service.version"] = version("fankui")
    return Resource.create(attributes)
