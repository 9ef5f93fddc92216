"""A challenger in shadow: compared, never waited for, never heard."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from models.bundle import open_bundle
from models.predictor import BundlePredictor
from serving.shadow import LONGEST, WAITING, agreement
from tests.conftest import COMMENTS
from tests.serving.other_models import contrary


@pytest.fixture(scope="module")
def challenger(tmp_path_factory: pytest.TempPathFactory, linear_bundle: Path) -> Path:
    return contrary(open_bundle(linear_bundle), tmp_path_factory.mktemp("models") / "contrary")


@pytest.fixture
def client(make_client: Callable[..., TestClient], challenger: Path) -> Iterator[TestClient]:
    client = make_client(shadow=str(challenger), shadow_share=1.0, cache=0)
    client.app.state.engine.shadow.look()
    return client


def figures(client: TestClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def compared(client: TestClient, version: str, outcome: str = "compared") -> float:
    name = f'fankui_shadow_comments_total{{model_version="{version}",outcome="{outcome}"}}'
    return figures(client).get(name, 0.0)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def post(client: TestClient, *texts: str) -> httpx.Response:
    return client.post("/v1/classify", json={"items": [{"text": text} for text in texts]})


def test_agreement_is_told_by_task(client: TestClient) -> None:
    shadow = client.app.state.engine.shadow
    texts = [text for text, *_ in COMMENTS]
    given = post(client, *texts, "").json()["results"]
    wait_for(lambda: compared(client, shadow.challenger.version) == len(texts))
    service, trial = client.get("/v1/models").json()["models"]
    assert (service["role"], trial["role"]) == ("in_service", "shadow")
    assert service["agreement"] is None
    theirs = shadow.challenger.predictor.predict(texts)
    told = {entry["task"]: (entry["agreed"], entry["compared"]) for entry in trial["agreement"]}
    for task in ("sentiment", "category", "urgency"):
        same = sum(
            result["labels"][task]["label"] == other.tasks[task].label
            for result, other in zip(given, theirs, strict=False)
        )
        assert told[task] == (same, len(texts))
    assert told["sentiment"][0] < len(texts)  # it says the contrary
    assert set(told) == {"sentiment", "category", "urgency", "aspects"}


def test_it_begins_nothing_while_somebody_waits(client: TestClient) -> None:
    engine = client.app.state.engine
    engine.places.take(1)
    post(client, "快递很快")
    time.sleep(0.15)
    assert compared(client, engine.shadow.challenger.version) == 0
    engine.places.give_back(1)
    wait_for(lambda: compared(client, engine.shadow.challenger.version) == 1)


def test_what_it_has_no_time_for_is_dropped_and_counted(client: TestClient) -> None:
    engine = client.app.state.engine
    engine.places.take(1)
    for _ in range(4):
        post(client, *["快递很快"] * 200)
    post(client, "快" * (LONGEST + 1))
    version = engine.shadow.challenger.version
    # One is with the thread already, which waits for the model to be free.
    assert compared(client, version, "dropped") in (800 - WAITING, 801 - WAITING, 800 - WAITING - 1)
    engine.places.give_back(1)


def test_one_that_hangs_keeps_nobody_waiting(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    go, began = threading.Event(), threading.Event()
    predictor = client.app.state.engine.shadow.challenger.predictor

    def hang(texts: Any) -> Any:
        began.set()
        go.wait(10)
        return BundlePredictor.predict(predictor, texts)

    monkeypatch.setattr(predictor, "predict", hang)
    try:
        post(client, "快递很快")
        assert began.wait(5)
        for _ in range(20):
            assert post(client, "快递很慢").status_code == 200
        assert client.get("/health/ready").status_code == 200
    finally:
        go.set()


def test_one_that_fails_is_counted_told_once_and_asked_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    challenger = client.app.state.engine.shadow.challenger
    monkeypatch.setattr(challenger.predictor, "predict", lambda _: 1 / 0)
    assert post(client, "快递很快", "快递很慢").status_code == 200
    wait_for(lambda: compared(client, challenger.version, "failed") == 2)
    told = [record for record in caplog.records if record.getMessage() == "shadow_failed"]
    assert [record.fields for record in told] == [{"error": "ZeroDivisionError"}]  # type: ignore[attr-defined]
    monkeypatch.undo()
    post(client, "快递很快")
    wait_for(lambda: compared(client, challenger.version) == 1)


def test_one_that_cannot_be_loaded_is_told_once_and_the_server_answers(
    make_client: Callable[..., TestClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    client = make_client(shadow=str(tmp_path / "none"), shadow_share=1.0)
    for _ in range(2):
        client.app.state.engine.shadow.look()
    told = [record for record in caplog.records if record.getMessage() == "shadow_not_loaded"]
    assert [record.fields["why"][:13] for record in told] == ["model_missing"]  # type: ignore[attr-defined]
    assert figures(client)["fankui_shadow_load_failures_total"] == 1
    assert post(client, "快递很快").status_code == 200
    assert [model["role"] for model in client.get("/v1/models").json()["models"]] == ["in_service"]


def test_the_share_is_kept(make_client: Callable[..., TestClient], challenger: Path) -> None:
    client = make_client(shadow=str(challenger), shadow_share=0.25, cache=0)
    shadow = client.app.state.engine.shadow
    shadow.look()
    shadow._random.seed(5)
    for start in range(0, 400, 100):
        post(client, *[f"第{start + i}件没到" for i in range(100)])
    # A binomial of 400 and 0.25 lies within 100 ± 35 but for one seed in ten thousand.
    wait_for(lambda: not shadow._waiting)
    wait_for(lambda: 65 <= compared(client, shadow.challenger.version) <= 135)


def test_the_same_model_is_not_compared_with_itself(
    make_client: Callable[..., TestClient], linear_bundle: Path
) -> None:
    client = make_client(shadow=str(linear_bundle), shadow_share=1.0)
    shadow = client.app.state.engine.shadow
    shadow.look()
    post(client, "快递很快")
    assert not shadow._waiting


def test_tasks_that_only_one_model_has_are_left_out(schema: Any) -> None:
    result = {
        "labels": {name: {"label": "x"} for name in ("sentiment", "category", "urgency")},
        "aspects": [{"category": "service", "polarity": "negative"}],
    }
    other = {**result, "aspects": []}
    assert agreement(result, other, schema, schema) == {
        "sentiment": True,
        "category": True,
        "aspects": False,
        "urgency": True,
    }
    from dataclasses import replace

    fewer = replace(schema, tasks=schema.tasks[:1])
    assert agreement(result, other, schema, fewer) == {schema.tasks[0].name: True}


def test_pinned_models_answer_those_who_name_them(
    make_client: Callable[..., TestClient], challenger: Path, tmp_path: Path
) -> None:
    client = make_client(pin=(str(challenger),), shadow=str(challenger), shadow_share=1.0, store=str(tmp_path / "s.db"))
    shadow = client.app.state.engine.shadow
    shadow.look()
    service, pinned, _ = client.get("/v1/models").json()["models"]
    assert pinned["role"] == "pinned"
    text = COMMENTS[0][0]
    found = {}
    for model in (service, pinned):
        headers = {"X-Model-Version": model["model_version"]}
        answer = client.post("/v1/classify", json={"text": text}, headers=headers).json()
        assert answer["model_version"] == model["model_version"]
        found[model["role"]] = answer["results"][0]["labels"]["sentiment"]["label"]
        kept = client.post("/v1/feedback", json={"text": text}, headers=headers)
        assert kept.status_code == 201
        assert kept.json()["model_version"] == model["model_version"]
    assert found["in_service"] != found["pinned"]
    refused = client.post("/v1/classify", json={"text": text}, headers={"X-Model-Version": "feedback/7"})
    assert (refused.status_code, refused.json()["code"]) == (404, "model_not_loaded")
    # Only what the model in service answered is compared.
    wait_for(lambda: compared(client, shadow.challenger.version) == 2)
