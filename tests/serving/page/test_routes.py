"""The page over HTTP: who gets in, what is sent along, figures, list and evidence."""

import html
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from serving.key_file import KeyFile
from serving.page.panels import FiredAlert, ForecastPoint, HotIssue
from serving.scopes import PAGE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BROWSER = {"Accept": "text/html,application/xhtml+xml"}
NOTE = {"status": "in_progress", "by": "li"}


@pytest.fixture
def app(make_app: Callable[..., FastAPI], tmp_path: Path) -> FastAPI:
    """On the loopback, where nobody needs a key."""
    return make_app(store=str(tmp_path / "store.db"))


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture
def guarded(
    make_client: Callable[..., TestClient],
    make_key: Callable[..., str],
    keys_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TestClient:
    """One that strangers can reach, and that looks for new keys at once; cookies are kept as a browser does."""
    monkeypatch.setattr("serving.key_ring._LEAST", 0.0)
    make_key("score", name="other")
    client = make_client(host="0.0.0.0", keys_file=keys_file, key_seconds=0.2, store=str(tmp_path / "store.db"))
    client.follow_redirects = False
    return client


def sign_in(client: TestClient, key: str, **headers: str) -> httpx.Response:
    answer: httpx.Response = client.post("/dashboard/login", content=f"key={key}", headers={**FORM, **headers})
    return answer


def page_data(answer: httpx.Response) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', answer.text, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(html.unescape(found[1]))
    return data


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_page_loads_nothing_from_outside_and_nothing_inline(client: TestClient) -> None:
    answer = client.get("/dashboard")
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "img-src 'self' data:"
    )
    assert answer.headers["Cache-Control"] == "no-store"
    named = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert named
    for path in named:
        assert path.startswith(("/", "#")), path
        if path.startswith("/dashboard/static/"):
            file = client.get(path)
            assert file.status_code == 200
            assert file.headers["Cache-Control"] == "private, max-age=31536000, immutable"
            assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert re.findall(r"<style|\sstyle=|\son\w+=", answer.text) == []
    assert re.findall(r"<script(?![^>]*\b(?:src=|type=\"application/json\"))", answer.text) == []


def test_files_of_another_version_are_not_mixed_in(app: FastAPI, client: TestClient) -> None:
    version = app.state.board.assets.version
    plain = client.get(f"/dashboard/static/{version}/app.js", headers={"Accept-Encoding": "identity"})
    packed = client.get(f"/dashboard/static/{version}/app.js", headers={"Accept-Encoding": "gzip"})
    assert (plain.headers.get("Content-Encoding"), packed.headers.get("Content-Encoding")) == (None, "gzip")
    assert plain.content == packed.content
    for path in (f"{version}/nothing.js", "0000/app.js", f"{version}/..%2Frouting.toml", f"{version}/app.js%0A"):
        answer = client.get(f"/dashboard/static/{path}")
        assert problem(answer) == (404, "not_found")
        assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_store_there_is_no_page(make_client: Callable[..., TestClient]) -> None:
    assert problem(make_client().get("/dashboard")) == (404, "not_found")


def test_the_language_is_asked_for_once(client: TestClient) -> None:
    assert '<html lang="zh-CN">' in client.get("/dashboard").text
    answer = client.get("/dashboard?lang=en")
    assert '<html lang="en">' in answer.text
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    again = client.get("/dashboard")
    assert '<html lang="en">' in again.text
    assert page_data(again)["words"]["live"] == "Live"


def test_a_key_becomes_a_session_and_leaves_no_trace(guarded: TestClient, make_key: Callable[..., str]) -> None:
    asked = guarded.get("/dashboard", headers=BROWSER)
    assert (asked.status_code, asked.headers["Location"]) == (303, "/dashboard/login")
    assert problem(guarded.get("/dashboard")) == (401, "key_missing")
    form = guarded.get("/dashboard/login")
    assert form.status_code == 200
    assert "API 密钥" in form.text
    key = make_key("read", name="desk")
    answer = sign_in(guarded, key)
    assert (answer.status_code, answer.headers["Location"], answer.content) == (303, "/dashboard", b"")
    cookie = answer.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie
    assert key[16:] not in cookie
    assert "Secure" in sign_in(guarded, key, **{"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    guarded.cookies.clear()
    sign_in(guarded, key)
    page = guarded.get("/dashboard", headers=BROWSER)
    assert page.status_code == 200
    assert page_data(page)["name"] == "desk"
    assert page_data(page)["writes"] is False
    assert key[16:] not in page.text
    assert guarded.get("/v1/feedback").status_code == 200  # the API's paths take it too
    token = page_data(page)["token"]
    assert guarded.post("/dashboard/logout", headers={"X-CSRF-Token": token}).status_code == 204
    assert problem(guarded.get("/v1/feedback")) == (401, "key_missing")


def test_who_has_no_right_to_read_does_not_get_in(guarded: TestClient, make_key: Callable[..., str]) -> None:
    for key, status, told in (
        ("", 401, "密钥不存在"),
        ("fk_nonsense", 401, "密钥不存在"),
        ("%00%FF%E4", 401, "密钥不存在"),
        ("x" * 5000, 401, "密钥不存在"),
        (make_key("score", "write", name="clerk"), 403, "没有 read 权限"),
    ):
        answer = sign_in(guarded, key)
        assert answer.status_code == status
        assert told in answer.text
        assert "Set-Cookie" not in answer.headers
        assert key[:40] not in answer.text or not key
    good = make_key("read", name="desk", rate=1)
    for other in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        refused = sign_in(guarded, good, **other)
        assert (refused.status_code, "Set-Cookie" in refused.headers) == (403, False)
    assert sign_in(guarded, good).status_code == 303
    busy = sign_in(guarded, good)
    assert (busy.status_code, "太频繁" in busy.text) == (429, True)


def test_changes_need_the_scope_and_the_token(guarded: TestClient, make_key: Callable[..., str]) -> None:
    writer = make_key("read", "write", name="desk")
    admin = {"Authorization": f"Bearer {make_key('admin', name='boss')}"}
    guarded.post("/v1/feedback", json={"text": "快递太慢了", "id": "a1"}, headers=admin)
    sign_in(guarded, writer)
    token = page_data(guarded.get("/dashboard", headers=BROWSER))["token"]
    assert problem(guarded.post("/v1/feedback/a1/status", json=NOTE)) == (403, "csrf_refused")
    wrong = {"X-CSRF-Token": token[:-1] + ("0" if token[-1] != "0" else "1")}
    assert problem(guarded.post("/v1/feedback/a1/status", json=NOTE, headers=wrong)) == (403, "csrf_refused")
    right = {"X-CSRF-Token": token}
    assert guarded.post("/v1/feedback/a1/status", json=NOTE, headers=right).status_code == 200
    sign_in(guarded, make_key("read", name="guest"))
    right = {"X-CSRF-Token": page_data(guarded.get("/dashboard", headers=BROWSER))["token"]}
    assert problem(guarded.post("/v1/feedback/a1/status", json=NOTE, headers=right)) == (403, "scope_missing")
    # What admin alone may do stays behind the key itself.
    sign_in(guarded, admin["Authorization"][7:])
    right = {"X-CSRF-Token": page_data(guarded.get("/dashboard", headers=BROWSER))["token"]}
    assert guarded.post("/v1/feedback/a1/status", json={**NOTE, "status": "resolved"}, headers=right).status_code == 200
    assert problem(guarded.delete("/v1/feedback/a1", headers=right)) == (403, "scope_missing")
    assert problem(guarded.get("/v1/feedback/a1/original", headers=right)) == (403, "scope_missing")
    assert problem(guarded.post("/v1/erasures", json={"customer_ref": "c"}, headers=right)) == (403, "scope_missing")


def test_a_revoked_key_ends_its_sessions(guarded: TestClient, make_key: Callable[..., str], keys_file: Path) -> None:
    sign_in(guarded, make_key("read", name="desk"))
    assert guarded.get("/dashboard/queue").status_code == 200
    file = KeyFile(keys_file)
    (key,) = [key for key in file.load() if key.name == "desk"]
    file.put(replace(key, revoked_at=datetime.now(UTC)))
    time.sleep(0.5)  # more than twice what the ring was given
    assert problem(guarded.get("/dashboard/queue")) == (401, "session_ended")
    assert guarded.get("/dashboard", headers=BROWSER).headers["Location"] == "/dashboard/login"


def test_every_path_of_the_page_asks_for_a_key(guarded: TestClient, make_key: Callable[..., str]) -> None:
    key = {"Authorization": f"Bearer {make_key('write', name='clerk')}"}
    for line, needed in PAGE.items():
        method, _, path = line.partition(" ")
        if needed:
            path = path.replace("{id}", "a1")
            assert problem(guarded.request(method, path)) == (401, "key_missing")
            assert problem(guarded.request(method, path, headers=key)) == (403, "scope_missing")


def test_figures_list_and_evidence_are_those_of_the_store(client: TestClient) -> None:
    now = datetime.now(UTC)
    for i, text in enumerate(("充电宝半夜冒烟了", "快递很快，谢谢", "退款半个月没到账")):
        at = (now - timedelta(minutes=i)).isoformat()
        client.post("/v1/feedback", json={"text": text, "id": f"a{i}", "channel": "app", "created_at": at})
    figures = client.get("/dashboard/figures?span=24h").json()
    assert set(figures) == {"now", "span", "hours", "tiles", "desks", "channels", "series", "panels"}
    assert (figures["tiles"]["open"], figures["channels"], figures["panels"]) == (3, ["app"], {})
    assert len(figures["series"]["starts"]) == 24
    for task in ("sentiment", "urgency", "category"):
        assert sum(sum(counts) for counts in figures["series"][task].values()) == 3
    listed = client.get("/dashboard/queue?limit=2").json()
    assert len(listed["items"]) == 2
    rest = client.get("/dashboard/queue", params={"limit": 2, "cursor": listed["next"]}).json()
    assert sorted(item["id"] for item in listed["items"] + rest["items"]) == ["a0", "a1", "a2"]
    assert rest["next"] is None
    found = client.get("/v1/feedback/a0").json()
    answer = client.get("/dashboard/feedback/a0/evidence").json()
    assert answer["model_version"] == found["model_version"]
    for item in answer["items"]:
        assert set(item) == {"task", "label", "start", "end", "weight"}
        assert 0 <= item["start"] < item["end"] <= len(found["text"])
    assert client.get("/dashboard/feedback/a0/evidence").json() == answer
    assert problem(client.get("/dashboard/feedback/none/evidence")) == (404, "feedback_unknown")


def test_a_change_makes_figures_anew(client: TestClient) -> None:
    def count(mark: str) -> int:
        total: int = client.get(f"/dashboard/figures?mark={mark}").json()["tiles"]["open"]
        return total

    assert count("a") == 0
    client.post("/v1/feedback", json={"text": "快递太慢了"})
    assert count("a") == 0  # asked a moment ago
    assert count("b") == 1


def test_what_is_not_known_is_refused(client: TestClient) -> None:
    for query in ("span=1y", "queue=%00", f"channel={'x' * 300}", f"mark={'x' * 100}", "written_from=yesterday"):
        assert client.get(f"/dashboard/figures?{query}").status_code == 422, query
    for query in ("state=done", "limit=0", "limit=999", "cursor=x", "written_from=2026-03-01", "category=%00"):
        assert client.get(f"/dashboard/queue?{query}").status_code == 422, query


def test_times_without_a_zone_are_the_wall_clocks(client: TestClient) -> None:
    client.post("/v1/feedback", json={"text": "快递太慢了", "id": "a1", "created_at": "2026-03-01T09:30:00+08:00"})

    def listed(begin: str, end: str) -> int:
        query = {"state": "all", "written_from": begin, "written_before": end}
        return len(client.get("/dashboard/queue", params=query).json()["items"])

    assert listed("2026-03-01T09:00:00", "2026-03-01T10:00:00") == 1
    assert listed("2026-03-01T10:00:00", "2026-03-01T11:00:00") == 0


class Source:
    """Insights that somebody found."""

    def hot_issues(self, connection: Any, part: Any) -> list[HotIssue]:
        return [HotIssue("t1", "显示签收 没收到", 40, 0.9, None, 0.8, "显示已签收,可我没收到", "logistics")] * 20

    def forecast(self, connection: Any, part: Any, *, hours: int) -> list[ForecastPoint]:
        return [ForecastPoint(datetime(2026, 3, 2), 10.0, 5.0, 15.0)]

    def alerts(self, connection: Any, part: Any) -> list[FiredAlert]:
        return []

    def members(self, connection: Any, kind: str, id: str) -> list[str]:  # noqa: A002
        return {"issue:t1": ["a2", "gone"], "alert:x": ["a1"]}.get(f"{kind}:{id}", [])


def test_the_comments_of_an_alert_or_an_issue_are_listed(app: FastAPI, client: TestClient) -> None:
    for name in ("a1", "a2", "a3"):
        client.post("/v1/feedback", json={"text": "快递太慢了", "id": name})

    def listed(about: str) -> list[str]:
        answer = client.get("/dashboard/queue", params={"state": "all", "about": about})
        return [item["id"] for item in answer.json()["items"]]

    assert listed("issue:t1") == []  # nobody has looked
    app.state.board.insights = Source()
    assert (listed("issue:t1"), listed("alert:x"), listed("alert:t1")) == (["a2"], ["a1"], [])
    assert client.get("/dashboard/queue", params={"about": "t1"}).status_code == 422


def test_who_has_to_be_called_back_is_listed_by_when(client: TestClient) -> None:
    for name in ("a1", "a2", "a3", "a4"):
        client.post("/v1/feedback", json={"text": "快递太慢了", "id": name})
        urgency = {"task": "urgency", "label": "critical", "by": "质检"}
        client.post(f"/v1/feedback/{name}/corrections", json=urgency)
    for name in ("a2", "a1", "a4"):
        client.post(f"/v1/feedback/{name}/status", json={"status": "resolved", "by": "客服"})
    client.post("/v1/feedback/a4/calls", json={"outcome": "satisfied", "by": "客服"})
    first = client.get("/dashboard/queue", params={"state": "call_due", "limit": 1}).json()
    assert [item["id"] for item in first["items"]] == ["a2"]
    second = client.get("/dashboard/queue", params={"state": "call_due", "cursor": first["next"]}).json()
    assert [item["id"] for item in second["items"]] == ["a1"]
    assert second["next"] is None


def test_panels_are_there_where_there_is_something_in_them(app: FastAPI, client: TestClient) -> None:
    app.state.board.insights = Source()
    panels = client.get("/dashboard/figures").json()["panels"]
    assert set(panels) == {"hot_issues", "forecast"}
    assert len(panels["hot_issues"]) == 12
    assert panels["forecast"] == [{"start": "2026-03-02T00:00:00", "expected": 10.0, "low": 5.0, "high": 15.0}]
