"""Originals over HTTP, on both databases: kept where that was asked for, sealed, for admins alone."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from pipeline.errors import ConfigError
from serving.settings import ServeSettings
from serving.store import tables

FIRST, SECOND = (f"{name}:{base64.b64encode(name.encode() * 32).decode()}" for name in "ab")
COMMENT = {
    "text": "打13800138000找我，繁體也行",
    "id": "工单-7",
    "customer_ref": "13900139000",
    "channel": "hotline",
    "metadata": {"phone": "13700137000", "n": 10**30},
}


@pytest.fixture
def open_server(
    make_client: Callable[..., TestClient], make_key: Callable[..., str], keys_file: Path, store_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., TestClient]:  # fmt: skip
    """`open_server("a:…", keep_raw=True)`: a client with an admin's key of a server with those raw keys."""
    shown = make_key("admin")

    def open_(raw_keys: str | None, **settings: Any) -> TestClient:
        if raw_keys is None:
            monkeypatch.delenv("FANKUI_RAW_KEYS", raising=False)
        else:
            monkeypatch.setenv("FANKUI_RAW_KEYS", raw_keys)
        client = make_client(store=store_url, keys_file=keys_file, **settings)
        client.headers["Authorization"] = f"Bearer {shown}"
        return client

    return open_


def sealed_rows(client: TestClient) -> list[Any]:
    database = client.app.state.keeper.threads.database  # type: ignore[attr-defined]
    rows: list[Any] = database.read(lambda connection: list(connection.execute(select(tables.originals))))
    return rows


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


PATH = "/v1/feedback/工单-7/original"


def test_by_default_only_what_is_masked_is_kept(open_server: Callable[..., TestClient]) -> None:
    client = open_server(None)
    assert client.post("/v1/feedback", json=COMMENT).status_code == 201
    assert sealed_rows(client) == []
    assert code(client.get(PATH)) == (404, "original_unknown")


def test_an_admin_reads_it_and_that_is_logged(
    open_server: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = open_server(FIRST, keep_raw=True)
    assert client.post("/v1/feedback", json=COMMENT).status_code == 201
    (row,) = sealed_rows(client)
    assert not any(secret.encode() in row.sealed for secret in ("138001", "139001", "137001", "找我"))
    caplog.set_level("INFO", logger="fankui.serving")
    answer = client.get(PATH)
    assert (answer.status_code, json.loads(answer.text)) == (200, COMMENT)
    (told,) = [record for record in caplog.records if record.getMessage() == "original_read"]
    assert told.fields["feedback_id"] == "工单-7"  # type: ignore[attr-defined]
    assert told.fields["key"] == client.headers["Authorization"][10:22]  # type: ignore[attr-defined]
    # Everything else is as masked as ever.
    assert "13800138000" not in client.get("/v1/feedback/工单-7").text
    assert "13800138000" not in client.get("/v1/feedback").text + client.get("/v1/export?format=jsonl").text


@pytest.mark.parametrize("scope", ["read", "write", "score"])
def test_nobody_else_does(open_server: Callable[..., TestClient], make_key: Callable[..., str], scope: str) -> None:
    other = make_key(scope, name="other")
    client = open_server(FIRST, keep_raw=True)
    client.post("/v1/feedback", json=COMMENT)
    assert code(client.get(PATH, headers={"Authorization": f"Bearer {other}"})) == (403, "scope_missing")


def test_not_even_on_a_loopback_without_keys(
    make_client: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANKUI_RAW_KEYS", FIRST)
    client = make_client(store=str(tmp_path / "store.db"), keep_raw=True)
    assert client.post("/v1/feedback", json=COMMENT).status_code == 201
    assert code(client.get(PATH)) == (403, "scope_missing")


def test_keys_are_changed_one_after_the_other(open_server: Callable[..., TestClient]) -> None:
    assert open_server(FIRST, keep_raw=True).post("/v1/feedback", json=COMMENT).status_code == 201
    client = open_server(f"{SECOND},{FIRST}", keep_raw=True)
    assert client.post("/v1/feedback", json={**COMMENT, "id": "b"}).status_code == 201
    assert [row.sealed[2:3] for row in sorted(sealed_rows(client), key=lambda row: str(row.feedback_id))] == [
        b"b",
        b"a",
    ]
    assert [client.get(path).status_code for path in (PATH, "/v1/feedback/b/original")] == [200, 200]
    only = open_server(SECOND)  # what was kept can be read though nothing more is
    assert code(only.get(PATH)) == (503, "original_sealed")
    assert only.get("/v1/feedback/b/original").status_code == 200
    assert code(open_server(None).get(PATH)) == (503, "original_sealed")


def test_it_is_erased_with_the_rest(open_server: Callable[..., TestClient]) -> None:
    client = open_server(FIRST, keep_raw=True)
    client.post("/v1/feedback", json=COMMENT)
    assert client.delete("/v1/feedback/工单-7").status_code == 204
    assert sealed_rows(client) == []
    assert code(client.get(PATH)) == (410, "feedback_erased")


def test_a_comment_that_is_there_already_adds_no_original(open_server: Callable[..., TestClient]) -> None:
    client = open_server(FIRST, keep_raw=True)
    for status in (201, 200):
        assert client.post("/v1/feedback", json=COMMENT).status_code == status
    assert len(sealed_rows(client)) == 1


def test_without_keys_nothing_starts(open_server: Callable[..., TestClient]) -> None:
    for value in (None, "a:short"):
        with pytest.raises(ConfigError, match=r"^--keep-raw: expected FANKUI_RAW_KEYS to hold NAME:KEY"):
            open_server(value, keep_raw=True)
    with pytest.raises(ConfigError, match=r"^--keep-raw keeps originals in a store; give --store too$"):
        ServeSettings(keep_raw=True)
