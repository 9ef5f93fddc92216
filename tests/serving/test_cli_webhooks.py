"""`fankui webhooks` and the routes: added, listed, tried, rotated, sent again, removed; in both databases."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

import fankui
from pipeline.schema import LabelSchema
from serving.store import deliveries, events, records
from serving.store.database import Database, open_database
from serving.store.tables import events as events_table
from serving.store.tables import webhook_deliveries, webhook_endpoints
from tests.stored_comments import scored_comment
from tests.webhook_receiver import Receiver, answering

LOOPBACK = ["--allow-http", "--allow-network", "127.0.0.0/8"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def run(*args: str, store: str) -> int:
    return fankui.run(["webhooks", *args, "--store", store])


def listed(store: str, capsys: pytest.CaptureFixture[str], *what: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(*(what or ("list",)), "--json", store=store) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_the_life_of_a_webhook(store_url: str, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    add = ("add", "crm", receiver.url, "--event", "feedback.overdue", "--event", "feedback.routed", "--allow-http")
    assert run(*add, store=store_url) == 0
    first, told = capsys.readouterr()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", first)
    (row,) = listed(store_url, capsys)
    assert told == (
        f"crm ({row['id']}): feedback.routed feedback.overdue. This is the only time that the secret is shown; it is "
        "kept as it is, in the store.\n"
    )
    assert {name: row[name] for name in ("name", "url", "state", "secrets", "pending", "delivered", "dead")} == {
        "name": "crm", "url": receiver.url, "state": "enabled", "secrets": 1, "pending": 0, "delivered": 0, "dead": 0,
    }  # fmt: skip
    assert first.strip() not in json.dumps(row)
    assert run(*add, store=store_url) == 2
    assert capsys.readouterr().err == ("fankui: there is a webhook named crm already; remove it, or use another name\n")

    assert run("test", "crm", *LOOPBACK, store=store_url) == 0
    assert capsys.readouterr().out.startswith("crm: HTTP 204 after 0.")
    assert receiver.got[0].verified(first.strip())["type"] == "webhook.test"
    assert run("test", "crm", "--allow-http", store=store_url) == 1
    told = capsys.readouterr().err
    assert told.startswith("fankui: crm: no answer (address_refused: it is not public; --allow-network ")
    assert run("test", "crm", store=store_url) == 2
    assert "for others read http on the way (--allow-http allows it)" in capsys.readouterr().err
    receiver.answer = answering(404)
    assert run("test", row["id"], *LOOPBACK, store=store_url) == 1
    assert capsys.readouterr().err.startswith("fankui: crm: HTTP 404 (status) after 0.")

    assert run("rotate", "crm", "--overlap-hours", "1", store=store_url) == 0
    second = capsys.readouterr().out
    assert second != first
    assert listed(store_url, capsys)[0]["secrets"] == 2
    assert run("test", "crm", *LOOPBACK, store=store_url) == 1
    for secret in (first, second):
        receiver.got[-1].verified(secret.strip())
    assert run("rotate", "crm", "--overlap-hours", "0", store=store_url) == 0
    assert listed(store_url, capsys)[0]["secrets"] == 1

    assert run("disable", "crm", store=store_url) == 0
    assert listed(store_url, capsys)[0]["state"] == "disabled (operator)"
    assert run("enable", "crm", store=store_url) == 0
    assert run("list", store=store_url) == 0
    assert "enabled" in capsys.readouterr().out
    assert run("remove", "crm", store=store_url) == 0
    assert capsys.readouterr().err == f"removed crm ({row['id']})\n"
    assert listed(store_url, capsys) == []
    assert run("remove", "crm", store=store_url) == 2
    assert capsys.readouterr().err == "fankui: expected the name or id of a webhook; found 'crm'; see list\n"


def test_secrets_are_sealed_where_the_environment_has_a_key(
    store_url: str, receiver: Receiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANKUI_RAW_KEYS", "k:" + "A" * 43 + "=")
    assert run("add", "crm", receiver.url, "--allow-http", store=store_url) == 0
    shown, told = capsys.readouterr()
    assert told.endswith("it is kept sealed.\n")
    database = open_database(store_url, timeout=5)
    (row,) = database.read(lambda connection: connection.execute(select(webhook_endpoints)).all())
    database.close()
    assert shown.strip().removeprefix("whsec_") not in str(row)
    assert run("test", "crm", *LOOPBACK, store=store_url) == 0
    receiver.got[0].verified(shown.strip())
    monkeypatch.setenv("FANKUI_RAW_KEYS", "other:" + "B" * 42 + "A=")
    assert run("test", "crm", *LOOPBACK, store=store_url) == 1
    assert "(secret_sealed)" in capsys.readouterr().err


@pytest.mark.parametrize(("args", "told"), [
    (("add", "crm", "http://crm.example/"), "expected https://…"),
    (("add", "a b", "https://crm.example/"), "a webhook's name: expected 1 to 64 letters"),
    (("add", "crm", "https://crm.example/", "--event", "feedback.read"), "--event: expected some of feedback.routed"),
    (("replay",), "one of --event, --since and --dead"),
    (("replay", "--dead", "--event", "evt_1"), "one of --event, --since and --dead"),
    (("replay", "--since", "yesterday"), "--since: expected a time with its zone"),
    (("replay", "--since", "2026-03-02T08:00:00"), "--since: expected a time with its zone"),
    (("replay", "--dead", "--webhook", "none"), "found 'none'; see list"),
    (("dead", "--webhook", "none"), "found 'none'; see list"),
])  # fmt: skip
def test_mistakes_are_told(args: tuple[str, ...], told: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*args, store=str(tmp_path / "store.db")) == 2
    assert told in capsys.readouterr().err


def test_somebody_has_to_say_where(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FANKUI_STORE", raising=False)
    assert fankui.run(["webhooks", "list"]) == 2
    assert capsys.readouterr().err == "fankui: say where webhooks are kept: --store, or FANKUI_STORE\n"


def given_up(database: Database, schema: LabelSchema, *ids: str) -> list[str]:
    """Dead letters about comments; the ids of the events."""
    now = datetime.now(UTC)
    for id_ in ids:
        database.write(partial(records.store, new=scored_comment(id_, schema=schema, received_at=now)))
    database.write(partial(deliveries.dispatch, holder="test", now=now))
    dead = {"status": "dead", "last_error": "status", "last_status": 500, "attempts": 10, "finished_at": now}
    database.write(lambda connection: connection.execute(webhook_deliveries.update().values(**dead)) and None)
    found = select(events_table.c.id).where(events_table.c.type == events.ROUTED).order_by(events_table.c.subject)
    return database.read(lambda connection: list(connection.scalars(found)))


def test_dead_letters_are_listed_and_sent_again(
    store_url: str, schema: LabelSchema, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("crm", "bi"):
        assert run("add", name, f"https://{name}.example/", store=store_url) == 0
    database = open_database(store_url, timeout=5)
    first, _ = given_up(database, schema, "a1", "a2")
    letters = listed(store_url, capsys, "dead")
    assert sorted((letter["subject"], letter["webhook"]) for letter in letters) == [
        ("a1", "bi"), ("a1", "crm"), ("a2", "bi"), ("a2", "crm"),
    ]  # fmt: skip
    assert {(letter["attempts"], letter["last_status"], letter["last_error"]) for letter in letters} == {
        (10, 500, "status")
    }
    assert run("replay", "--event", first, "--webhook", "crm", store=store_url) == 0
    assert capsys.readouterr().err == "1 message to be sent again\n"
    assert run("replay", "--dead", "--webhook", "bi", store=store_url) == 0
    assert capsys.readouterr().err == "2 messages to be sent again\n"
    assert [(row["subject"], row["webhook"]) for row in listed(store_url, capsys, "dead")] == [("a2", "crm")]
    counts = {row["name"]: (row["pending"], row["dead"]) for row in listed(store_url, capsys)}
    assert counts == {"crm": (1, 1), "bi": (2, 0)}
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert run("replay", "--since", since, store=store_url) == 0
    assert capsys.readouterr().err == "4 messages to be sent again\n"
    assert run("dead", store=store_url) == 0
    assert listed(store_url, capsys, "dead") == []
    database.close()


def test_admins_look_and_send_again_over_http(
    make_app: Callable[..., FastAPI], store_url: str, schema: LabelSchema, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {}
    for scope in ("admin", "write", "read"):
        assert fankui.run(["keys", "create", scope, "--scope", scope, "--store", store_url]) == 0
        keys[scope] = {"X-Api-Key": capsys.readouterr().out.strip()}
    assert run("add", "crm", "https://crm.example/hooks", store=store_url) == 0
    secret = capsys.readouterr().out.strip()
    app = make_app(store=store_url)
    event, _ = given_up(app.state.keeper.threads.database, schema, "a1", "a2")
    client = TestClient(app, base_url="http://127.0.0.1")
    for scope in ("write", "read"):
        for path in ("/v1/webhooks", "/v1/webhooks/dead"):
            assert client.get(path, headers=keys[scope]).json()["code"] == "scope_missing"
        answer = client.post("/v1/webhooks/replay", json={"dead": True}, headers=keys[scope])
        assert answer.json()["code"] == "scope_missing"
    client.headers.update(keys["admin"])
    (row,) = client.get("/v1/webhooks").json()["webhooks"]
    assert (row["name"], row["url"], row["dead"], row["types"]) == ("crm", "https://crm.example/hooks", 2, [])
    assert secret.removeprefix("whsec_") not in json.dumps(row)
    (letter,) = client.get("/v1/webhooks/dead", params={"limit": 1, "webhook": "crm"}).json()["items"]
    assert letter["type"] == "feedback.routed"
    assert client.get("/v1/webhooks/dead", params={"webhook": "x"}).json()["code"] == "webhook_unknown"

    def again(**body: Any) -> tuple[int, Any]:
        answer = client.post("/v1/webhooks/replay", json=body)
        return answer.status_code, answer.json().get("messages", answer.json().get("code"))

    assert again(events=[event]) == (202, 1)
    assert again(events=["evt_" + "0" * 40]) == (202, 0)
    assert again(dead=True, webhook="crm") == (202, 1)
    assert again(since="2020-01-01T00:00:00") == (202, 2)
    assert again(since="2099-01-01T00:00:00Z") == (202, 0)
    assert again(dead=True, webhook="x") == (404, "webhook_unknown")
    for wrong in ({}, {"dead": False}, {"dead": True, "events": [event]}, {"events": []}, {"since": None}, {"x": 1}):
        assert again(**wrong) == (422, "invalid_body")  # type: ignore[arg-type]
