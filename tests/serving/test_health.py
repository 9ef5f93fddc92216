"""Live, ready, and the figures."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from models.predictor import BundlePredictor


def test_live_and_ready(client: TestClient) -> None:
    version = client.app.state.engine.active.version  # type: ignore[attr-defined]
    assert client.get("/health/live").json() == {"status": "live", "model_version": version}
    assert client.get("/health/ready").json() == {"status": "ready", "model_version": version}


def test_a_broken_model_is_alive_but_not_ready(
    make_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(probe_seconds=0.0)

    def broken(*_args: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(BundlePredictor, "columns", broken)
    response = client.get("/health/ready")
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    assert response.headers["Retry-After"] == "1"
    assert client.get("/health/live").status_code == 200
    monkeypatch.undo()
    assert client.get("/health/ready").status_code == 200


def figures(client: TestClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = client.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_figures_count_requests_comments_and_zones(client: TestClient) -> None:
    version = client.app.state.engine.active.version  # type: ignore[attr-defined]
    client.post("/v1/classify", json={"items": [{"text": "好"}, {"text": "坏"}, {"text": ""}]})
    client.get("/customers/13800138000")
    found = figures(client)
    model = ("model_version", version)
    assert found["fankui_comments_total", (model, ("outcome", "ok"))] == 2
    assert found["fankui_comments_total", (model, ("outcome", "error"))] == 1
    assert found["fankui_score_seconds_count", (model,)] == 1
    assert found["fankui_model", (model,)] == 1
    assert found["fankui_comments_in_flight", ()] == 0
    zones = [value for (name, _), value in found.items() if name == "fankui_decisions_total"]
    assert sum(zones) == 2
    posted = (("method", "POST"), ("path", "/v1/classify"), ("status", "200"))
    assert found["fankui_requests_total", posted] == 1
    missed = (("method", "GET"), ("path", "unknown"), ("status", "404"))
    assert found["fankui_requests_total", missed] == 1
    assert found["fankui_request_seconds_count", (("path", "/v1/classify"),)] == 1


def test_two_applications_do_not_share_figures(make_client: Callable[..., TestClient]) -> None:
    first, second = make_client(), make_client()
    first.get("/v1/labels")
    assert not any("/v1/labels" in str(key) for key in figures(second))
