"""The paths under /v1: shapes of answers, statuses of refusals."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from models.predictor import BundlePredictor, Columns
from pipeline.feedback import Feedback
from pipeline.prepare import Prepared
from pipeline.schema import LabelSchema
from serving.shapes import ClassifyAnswer, FailedResult, LabelsAnswer, ModelsAnswer, ProblemAnswer, Result

JSON = {"Content-Type": "application/json"}


def test_one_item(client: TestClient) -> None:
    response = client.post(
        "/v1/classify",
        json={"text": "快递三天没到，客服也不回", "id": "f-17", "created_at": "2026-03-01T09:30:00+08:00"},
    )
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    answer = ClassifyAnswer.model_validate(response.json())
    (result,) = answer.results
    assert isinstance(result, Result)
    assert result.id == "f-17"
    assert list(result.labels) == ["sentiment", "category", "urgency"]
    assert set(result.labels["sentiment"].alternatives[0].model_dump()) == {"label", "probability"}
    assert set(result.model_extra or {}) == {"urgency_score"}
    assert result.decision.due_at is not None
    assert datetime.fromisoformat(result.decision.due_at) - datetime.fromisoformat("2026-03-01T09:30:00+08:00") in (
        timedelta(minutes=30),
        timedelta(hours=1),
        timedelta(hours=4),
        timedelta(hours=24),
    )
    assert result.decision.zone in ("auto", "suggest", "review")
    assert answer.model_version.startswith("small@")
    assert answer.schema_version == "1"


def test_the_answer_of_a_batch_equals_those_of_its_items(client: TestClient) -> None:
    items = [{"text": text, "id": str(i), "created_at": "2026-03-01T09:30:00Z"} for i, text in enumerate("好坏慢贵")]
    together = client.post("/v1/classify", json={"items": items}).json()["results"]
    alone = [client.post("/v1/classify", json=item).json()["results"][0] for item in items]
    assert together == alone


def test_one_bad_item_never_fails_a_batch(client: TestClient) -> None:
    batch = (
        b'{"items": [{"id": "1", "text": "\xe5\xa5\xbd"}, {"id": "2", "text": ""}, {"id": "3", "text": "\\ud800"}, 4]}'
    )
    response = client.post("/v1/classify", content=batch, headers=JSON)
    assert response.status_code == 200
    answer = ClassifyAnswer.model_validate(response.json())
    assert isinstance(answer.results[0], Result)
    failed = answer.results[1:]
    assert [(entry.id, entry.error.code) for entry in failed if isinstance(entry, FailedResult)] == [
        ("2", "empty_text"),
        ("3", "invalid_unicode"),
        ("", "invalid_item"),
    ]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"hello", 400, "not_json"),
        ('{"text": "好"}'.encode("gbk"), 400, "not_utf8"),
        (b'{"text": "\\ud800"}', 400, "invalid_unicode"),
        (b'{"text": "a", "metadata": {"x": NaN}}', 400, "non_finite_number"),
        (b'{"text": "a", "text": "b"}', 400, "duplicate_key"),
        (b'{"text": ""}', 422, "empty_text"),
        (b'{"text": "\\u200b\\ufeff"}', 422, "empty_text"),
        (b'{"text": "a\\u0000b"}', 422, "nul_character"),
        (b'{"text": null}', 422, "invalid_item"),
        (b'{"items": []}', 422, "invalid_batch"),
        (b'{"items": [1, 2, 3]}', 413, "too_many_items"),
    ],
)
def test_refusals(make_client: Callable[..., TestClient], content: bytes, status: int, code: str) -> None:
    response = make_client(max_items=2).post("/v1/classify", content=content, headers=JSON)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = ProblemAnswer.model_validate(response.json())
    assert (problem.status, problem.code) == (status, code)
    assert problem.request_id == response.headers["X-Request-ID"]
    assert len(response.content) < 500


def test_full_is_429_and_says_when_to_come_back(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_items=4, max_in_flight=4)
    client.app.state.engine.places.take(1)  # type: ignore[attr-defined]
    response = client.post("/v1/classify", json={"items": [{"text": "好"}] * 4})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    assert response.json()["code"] == "overloaded"
    assert client.post("/v1/classify", json={"items": [{"text": "好"}] * 3}).status_code == 200


def test_a_text_that_the_model_fails_at_is_503_alone(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(BundlePredictor, "columns", broken)
    response = client.post("/v1/classify", json={"text": "好"})
    assert (response.status_code, response.json()["code"]) == (503, "model_failed")
    assert response.headers["Retry-After"] == "5"


def test_work_of_a_client_that_left_is_dropped_before_its_pass(
    make_app: Callable[..., FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    engine = app.state.engine
    passes: list[int] = []
    original: Callable[[Sequence[Prepared]], Columns] = engine.active.predictor.columns

    def columns(prepared: Sequence[Prepared]) -> Columns:
        passes.append(len(prepared))
        go.wait(10)
        return original(prepared)

    monkeypatch.setattr(engine.active.predictor, "columns", columns)
    go, sent = threading.Event(), list[Any]()
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/classify", "raw_path": b"/v1/classify",
        "query_string": b"", "root_path": "", "scheme": "http", "server": ("127.0.0.1", 8000), "client": None,
        "headers": [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")],
    }  # fmt: skip

    async def story() -> None:
        before = asyncio.create_task(engine.classify([Feedback(text="快")], engine.active))
        while not passes:
            await asyncio.sleep(0.01)
        messages = [{"type": "http.request", "body": '{"text": "慢"}'.encode(), "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            while engine.places.taken < 2:
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        async with asyncio.timeout(5):
            await app(scope, receive, send)
        assert engine.places.taken == 1
        go.set()
        await before
        # What is asked now comes after everything that was queued.
        await engine.classify([Feedback(text="好")], engine.active)

    asyncio.run(story())
    assert (passes, sent) == ([1, 1], [])
    assert engine.places.taken == 0


def test_a_large_body_is_parsed_aside(make_client: Callable[..., TestClient]) -> None:
    items = [{"text": "快递太慢了" * 100} for _ in range(100)]
    response = make_client().post("/v1/classify", json={"items": items})
    assert len(response.json()["results"]) == 100


def test_long_text_is_answered_and_said_to_be_cut(client: TestClient) -> None:
    (result,) = client.post("/v1/classify", json={"text": "物流慢，客服差。" * 1000}).json()["results"]
    assert result["truncated"] is True


def test_what_is_hardly_chinese_goes_to_a_person(client: TestClient) -> None:
    (result,) = client.post("/v1/classify", json={"text": "where is my order"}).json()["results"]
    assert result["flags"] == ["out_of_scope"]
    assert result["decision"]["zone"] == "review"


def test_labels_are_the_schema_in_its_order(client: TestClient, schema: LabelSchema) -> None:
    answer = LabelsAnswer.model_validate(client.get("/v1/labels").json())
    assert (answer.name, answer.schema_version, answer.digest) == (schema.name, schema.version, schema.digest)
    assert [(task.name, [label.key for label in task.labels]) for task in answer.tasks] == [
        (task.name, list(task.keys)) for task in schema.tasks
    ]
    assert {label.key: label.respond_within for label in answer.tasks[-1].labels} == {
        "low": 1440,
        "medium": 240,
        "high": 60,
        "critical": 30,
    }


def test_models_names_the_one_that_answers(client: TestClient) -> None:
    (model,) = ModelsAnswer.model_validate(client.get("/v1/models").json()).models
    assert model.model_version == client.post("/v1/classify", json={"text": "好"}).json()["model_version"]
    assert (model.name, model.kind, model.origin) == ("small", "linear", "option")
    assert model.tasks == ["sentiment", "category", "aspects", "urgency"]
