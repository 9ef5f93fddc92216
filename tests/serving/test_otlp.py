"""Traces reach a collector over real HTTP, hang together, and hold nothing of what customers wrote."""

import gzip
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from serving.settings import ServeSettings

PHONE = "13800138000"
TEXT = f"快递三天没到，打{PHONE}没人接"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector(ThreadingHTTPServer):
    """What an OpenTelemetry collector is on its HTTP side."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[Any]:
        return [span for request in self._requests() for scope in request.scope_spans for span in scope.spans]

    def services(self) -> set[str]:
        found = [attribute for request in self._requests() for attribute in request.resource.attributes]
        return {attribute.value.string_value for attribute in found if attribute.key == "service.name"}

    def _requests(self) -> Iterator[Any]:
        for body in list(self.bodies):
            message = ExportTraceServiceRequest()
            message.ParseFromString(body)
            yield from message.resource_spans


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.server.paths.add(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector
        collector.shutdown()


def attributes(span: Any) -> dict[str, Any]:
    return {entry.key: entry.value.string_value or entry.value.int_value for entry in span.attributes}


def test_a_request_and_what_it_waited_for(
    start_server: Callable[..., Any], linear_bundle: Path, collector: Collector, tmp_path: Path
) -> None:
    server = start_server(
        *("--model", str(linear_bundle), "--store", str(tmp_path / "store.db"), "--otlp", collector.url),
        OTEL_BSP_SCHEDULE_DELAY="100",
        OTEL_SERVICE_NAME="desk",
        FASTAPI_OTEL_AUTO_CONFIGURE="true",  # of its own telemetry, which holds paths
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )
    with httpx.Client(base_url=server.url) as client:
        client.post("/v1/classify", json={"items": [{"text": TEXT}] * 3}, headers={"X-Request-ID": "r1"})
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "Idempotency-Key": PHONE}
        assert client.post("/v1/feedback", json={"text": TEXT, "id": PHONE}, headers=headers).status_code == 201
        client.get(f"/v1/feedback/{PHONE}?q={PHONE}", headers={"Authorization": f"Bearer fk_{PHONE}"})
        client.get(f"/v1/feedback?customer_ref={PHONE}")
        client.get(f"/{PHONE}")
    server.process.terminate()
    server.process.wait(20)
    roots = {span.name: span for span in collector.spans() if span.name.startswith(("GET", "POST"))}
    assert set(roots) == {
        *("POST /v1/classify", "POST /v1/feedback", "GET /v1/feedback/{id}", "GET /v1/feedback", "GET unknown")
    }
    assert collector.paths == {"/v1/traces"}
    assert collector.services() == {"desk"}
    classify = roots["POST /v1/classify"]
    assert attributes(classify) == {
        "http.request.method": "POST",
        "http.route": "/v1/classify",
        "http.response.status_code": 200,
        "fankui.request_id": "r1",
    }
    below = {span.name: span for span in collector.spans() if span.parent_span_id == classify.span_id}
    assert set(below) == {"queue", "forward"}
    assert attributes(below["forward"])["fankui.comments"] == 3
    assert attributes(below["forward"])["fankui.model_version"].startswith("small@")
    times = [classify.start_time_unix_nano, below["queue"].start_time_unix_nano, below["queue"].end_time_unix_nano]
    times += [below["forward"].start_time_unix_nano, below["forward"].end_time_unix_nano, classify.end_time_unix_nano]
    assert times == sorted(times)
    posted = roots["POST /v1/feedback"]
    assert posted.trace_id.hex() == TRACE
    assert posted.parent_span_id.hex() == "b7ad6b7169203331"
    names = {span.name for span in collector.spans() if span.parent_span_id == posted.span_id}
    assert names == {"store.claim", "queue", "forward", "store.commit"}
    assert not any(PHONE.encode() in body or "快递".encode() in body for body in collector.bodies)
    requests = [line for line in server.logged() if line["event"] == "request"]
    assert requests[1]["trace_id"] == TRACE


def test_a_collector_that_is_away_harms_nobody(start_server: Callable[..., Any], linear_bundle: Path) -> None:
    server = start_server(
        "--model", str(linear_bundle), OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_BSP_SCHEDULE_DELAY="50"
    )
    for _ in range(5):
        assert httpx.post(f"{server.url}/v1/classify", json={"text": TEXT}).status_code == 200
        time.sleep(0.05)
    server.process.terminate()
    assert server.process.wait(20) == -signal.SIGTERM
    assert all(PHONE not in str(line) for line in server.logged())  # and every line is JSON


def test_without_an_address_nothing_is_imported(make_app: Callable[..., Any]) -> None:
    assert make_app().state.engine.tracing is None
    assert ServeSettings().otlp is None
