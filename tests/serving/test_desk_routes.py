"""What people do with a kept comment moves it: corrections route it anew, calls back are recorded, lists find it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

TEXT = "快递三天没到，客服也不回"
OLD = "2026-03-01T09:30:00+08:00"


@pytest.fixture
def app(make_app: Callable[..., FastAPI], store_url: str) -> FastAPI:
    return make_app(store=store_url)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1")


def keep(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/feedback", json={"text": TEXT, **body})
    assert answer.status_code == 201
    return client.get(answer.headers["Location"]).json()


def correct(client: TestClient, id: str, task: str, label: Any) -> dict[str, Any]:  # noqa: A002
    body = {"task": task, "label": label, "by": "质检"}
    answer = client.post(f"/v1/feedback/{id}/corrections", json=body)
    assert answer.status_code == 201
    return client.get(f"/v1/feedback/{id}").json()


def move(client: TestClient, id: str, status: str) -> dict[str, Any]:  # noqa: A002
    answer = client.post(f"/v1/feedback/{id}/status", json={"status": status, "by": "客服"})
    assert answer.status_code == 200
    return answer.json()


def call(client: TestClient, id: str, **body: Any) -> Any:  # noqa: A002
    return client.post(f"/v1/feedback/{id}/calls", json={"by": "客服", **body})


def ids(client: TestClient, **filters: Any) -> list[str]:
    answer = client.get("/v1/feedback", params=filters)
    assert answer.status_code == 200
    return [item["id"] for item in answer.json()["items"]]


def test_a_correction_routes_anew(client: TestClient) -> None:
    before = keep(client, id="a", created_at=OLD)
    found = correct(client, "a", "category", "退换售后")
    decision = found["result"]["decision"]
    assert (decision["queue"], decision["due_at"]) == ("after_sales", before["result"]["decision"]["due_at"])
    assert "category:refund" in decision["reasons"]
    assert decision["reasons"][-1] == "corrected:category"
    assert found["result"]["labels"] == before["result"]["labels"]  # what the model said stays
    found = correct(client, "a", "urgency", "critical")
    decision = found["result"]["decision"]
    assert (decision["priority"], found["priority"]) == (1, 1)
    # From when it was written: the customer has waited since.
    assert datetime.fromisoformat(found["due_at"]) == datetime.fromisoformat(OLD) + timedelta(minutes=30)
    assert decision["reasons"][-2:] == ["corrected:category", "corrected:urgency"]
    assert ids(client, queue="after_sales", priority=1) == ["a"]
    assert ids(client, priority=4) == []
    assert ids(client, zone=decision["zone"]) == ["a"]


def test_a_person_overrules_the_words(client: TestClient) -> None:
    found = keep(client, id="a", text="充电的时候冒烟起火了，太吓人")
    assert "raised:critical" in found["result"]["decision"]["reasons"] or found["urgency"] == "critical"
    decision = correct(client, "a", "urgency", "low")["result"]["decision"]
    assert decision["priority"] == 4
    assert not [reason for reason in decision["reasons"] if reason.startswith(("raised:", "danger:"))]


def test_a_correction_of_what_does_not_route_moves_nothing(client: TestClient) -> None:
    before = keep(client, id="a")
    found = correct(client, "a", "sentiment", "neutral")
    assert (found["due_at"], found["result"]["decision"]["queue"]) == (
        before["due_at"],
        before["result"]["decision"]["queue"],
    )


def test_what_was_corrected_after_it_was_resolved_is_routed_when_it_is_reopened(client: TestClient) -> None:
    before = keep(client, id="a")
    move(client, "a", "resolved")
    found = correct(client, "a", "category", "billing")
    assert found["result"]["decision"] == before["result"]["decision"]
    found = move(client, "a", "reopened")
    assert found["result"]["decision"]["queue"] == "billing"
    assert ids(client, queue="billing", status="reopened") == ["a"]


def test_what_is_noted_later_is_kept(client: TestClient) -> None:
    keep(client, id="a")
    move(client, "a", "resolved")
    for _ in range(2):
        body = {"status": "resolved", "by": "主管13800138000", "note": "已核实", "assignee": None}
        assert client.post("/v1/feedback/a/status", json=body).status_code == 200
    history = client.get("/v1/feedback/a").json()["history"]
    assert [(entry["status"], entry["by"], entry["note"]) for entry in history] == [
        ("new", "server", None),
        ("resolved", "客服", None),
        ("resolved", "主管[手机号]", "已核实"),
    ]


def test_calls_back(client: TestClient) -> None:
    keep(client, id="a", text="充电的时候冒烟起火了，我被烫伤住院了")
    correct(client, "a", "urgency", "critical")
    refused = call(client, "a", outcome="satisfied")
    assert (refused.status_code, refused.json()["code"]) == (409, "call_refused")
    assert refused.json()["detail"] == (
        "expected a comment that is resolved, for there is nothing to ask before; it is new"
    )
    move(client, "a", "resolved")
    assert ids(client, call_due=True) == ["a"]
    missed = call(client, "a", outcome="unreachable")
    assert (missed.status_code, missed.json()["called_back_at"]) == (201, None)
    reached = call(client, "a", outcome="dissatisfied", note="电话13800138000，仍然冒烟")
    assert reached.status_code == 201
    body = reached.json()
    assert (body["call_outcome"], body["called_back_at"]) == ("dissatisfied", body["calls"][1]["at"])
    assert [entry["outcome"] for entry in body["calls"]] == ["unreachable", "dissatisfied"]
    assert "13800138000" not in reached.text
    assert call(client, "a", outcome="dissatisfied", note="电话13800138000，仍然冒烟").status_code == 200
    named = call(client, "a", outcome="dissatisfied", by="客服13800138000").json()["calls"][-1]
    assert named["by"] == "客服[手机号]"
    assert ids(client, call_due=True) == []
    assert move(client, "a", "reopened")["called_back_at"] is None


@pytest.mark.parametrize("body", [{"outcome": "happy"}, {"outcome": "satisfied", "by": ""}, {}])
def test_calls_that_are_no_calls(client: TestClient, body: dict[str, Any]) -> None:
    keep(client, id="a")
    answer = call(client, "a", **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    assert call(client, "b", outcome="satisfied").status_code == 404


def test_what_changes_nothing_is_no_new_route(client: TestClient, app: FastAPI) -> None:
    from sqlalchemy import func, select

    from serving.store import events, tables

    before = keep(client, id="a")
    correct(client, "a", "aspects", {"logistics": "negative", "service": -1})
    correct(client, "a", "category", before["category"])
    correct(client, "a", "urgency", before["urgency"])
    after = client.get("/v1/feedback/a").json()
    assert after["due_at"] == before["due_at"]
    assert after["corrections"][0]["label"] == {"logistics": -1, "service": -1}
    told = tables.events.c
    count = select(func.count()).where(told.subject == "a", told.type == events.REROUTED)
    zones = (before["result"]["decision"]["zone"], after["result"]["decision"]["zone"])
    # A person's labels are certain, so that the zone may become auto; nothing else moves.
    assert app.state.keeper.threads.database.read(lambda c: c.scalar(count)) == int(zones[0] != zones[1])


def test_mistakes_are_told_by_what_was_expected(client: TestClient) -> None:
    keep(client, id="a")

    def told(task: str, label: Any, by: str = "质检") -> str:
        answer = client.post("/v1/feedback/a/corrections", json={"task": task, "label": label, "by": by})
        assert answer.status_code == 422
        return str(answer.json()["detail"])

    assert told("mood", "bad") == "expected `task` to be one of the model's: sentiment, category, aspects, urgency"
    assert told("urgency", "绝密内容").startswith(
        "expected the label of urgency to be one of low, medium, high, critical,"
    )
    assert told("aspects", "坏").startswith(
        'expected the label of aspects to be an object such as {"product": -1}, from '
    )
    assert "绝密" not in told("urgency", "绝密内容")
    assert "by" in told("urgency", "low", by="  ")
    refused = client.get("/v1/feedback", params={"zone": "somewhere", "priority": 0})
    assert refused.json()["detail"] == (
        "a parameter of the request (priority, zone) does not fit its description in the API's documentation"
    )


def test_overdue_ones_are_found(client: TestClient, app: FastAPI) -> None:
    import asyncio

    keep(client, id="a", created_at=OLD)
    keep(client, id="b")
    assert ids(client, overdue=True) == []
    asyncio.run(app.state.keeper.look())
    assert ids(client, overdue=True) == ["a"]
    move(client, "a", "in_progress")
    assert ids(client, overdue=True) == []
