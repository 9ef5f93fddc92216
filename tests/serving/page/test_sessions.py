"""Sessions: what opens one, what ends it, and what it may do."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.api_keys import ApiKey, new_key, rotated
from serving.key_file import KeyFile
from serving.key_ring import KeyRing
from serving.page.sessions import COOKIE, HOURS, Sessions, from_this_site, is_https, session_of

NOW = datetime.now(UTC)
Opened = tuple[Sessions, KeyFile, ApiKey, str, str]


@pytest.fixture
def open_session(tmp_path: Path) -> Callable[..., Opened]:
    def make(*scopes: str) -> Opened:
        file = KeyFile(tmp_path / "keys.json", must_exist=False)
        key, shown = new_key("desk", scopes, now=NOW)
        file.put(key)
        sessions = Sessions(b"s" * 32, KeyRing(file, seconds=0.01))
        return sessions, file, key, shown, sessions.open(shown.encode(), key)

    return make


def found(sessions: Sessions, session: str) -> ApiKey | None:
    time.sleep(0.03)  # longer than the ring takes what it knows for true
    return asyncio.run(sessions.find(session))


@pytest.mark.parametrize(
    ("scopes", "had"),
    [(("read",), ("read",)), (("read", "write", "score"), ("read", "write")), (("admin",), ("read", "write"))],
)
def test_a_session_reads_and_writes_and_never_administers(
    open_session: Callable[..., Opened], scopes: tuple[str, ...], had: tuple[str, ...]
) -> None:
    sessions, _, key, shown, session = open_session(*scopes)
    holder = found(sessions, session)
    assert holder is not None
    assert (holder.id, holder.scopes) == (key.id, had)
    assert shown[16:] not in session
    assert not holder.may({"admin"})


def test_whoever_alters_it_has_none(open_session: Callable[..., Opened]) -> None:
    sessions, _, _, _, session = open_session("read")
    for i in range(len(session)):
        changed = session[:i] + ("0" if session[i] != "0" else "1") + session[i + 1 :]
        assert asyncio.run(sessions.find(changed)) is None, changed
    for other in ("", ".", "a.b.c.d.e", session[:-1], session + "0", session.upper()):
        assert asyncio.run(sessions.find(other)) is None
    assert asyncio.run(Sessions(b"t" * 32, sessions._ring).find(session)) is None


def test_it_ends_with_the_day_with_its_key_and_with_the_string(open_session: Callable[..., Opened]) -> None:
    sessions, file, key, _, session = open_session("read")
    later = Sessions(sessions._secret, sessions._ring, now=lambda: time.time() + HOURS * 3600 + 1)
    assert found(later, session) is None
    changed, new = rotated(key, now=NOW, overlap=timedelta(hours=1))
    file.put(changed)
    assert found(sessions, session) is not None  # both strings hold
    assert found(sessions, sessions.open(new.encode(), changed)) is not None
    file.put(rotated(key, now=NOW, overlap=timedelta())[0])
    assert found(sessions, session) is None
    file.put(key)
    assert found(sessions, session) is not None
    file.put(replace(key, revoked_at=NOW))
    assert found(sessions, session) is None


def test_changes_need_the_token_of_that_session(open_session: Callable[..., Opened]) -> None:
    sessions, _, key, shown, session = open_session("write")
    other = sessions.open(shown.encode(), key)
    token = sessions.token(session)
    assert other != session
    assert sessions.allows("GET", session, [])
    assert sessions.allows("POST", session, [(b"x-csrf-token", token.encode())])
    for headers in ([], [(b"x-csrf-token", b"")], [(b"x-csrf-token", sessions.token(other).encode())]):
        assert not sessions.allows("POST", session, headers)
        assert not sessions.allows("DELETE", session, headers)


def test_cookies_and_origins_are_read_as_browsers_send_them() -> None:
    assert session_of([(b"cookie", f"a=b; {COOKIE}=x.y; c=d".encode())]) == "x.y"
    for cookie in (b"", b"a=b", f"{COOKIE}=".encode(), f"{COOKIE}={'x' * 600}".encode(), b"x" * 9000, "é=ß".encode()):
        assert session_of([(b"cookie", cookie)]) == ""
    assert is_https("https", [])
    assert is_https("http", [(b"x-forwarded-proto", b"https")])
    assert not is_https("http", [(b"x-forwarded-proto", b"http")])
    for site, ours in ((b"same-origin", True), (b"none", True), (b"same-site", False), (b"cross-site", False)):
        assert from_this_site([(b"sec-fetch-site", site), (b"origin", b"http://evil.example")]) is ours
    host = (b"host", b"desk.example:8000")
    assert from_this_site([host])
    assert from_this_site([host, (b"origin", b"http://desk.example:8000")])
    assert not from_this_site([host, (b"origin", b"http://desk.example")])
    assert not from_this_site([host, (b"origin", b"null")])
