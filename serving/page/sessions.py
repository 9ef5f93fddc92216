"""Sessions of the page: an API key, shown once, becomes a cookie that scripts cannot read.

The cookie holds the key's id, the beginning of its string's digest and when it ends, under an HMAC with a secret of the
store, so that every worker reads it and none has to remember it. The key is looked up at every request: one that is
revoked, expired or whose string is replaced ends its sessions. A session may read and write, never what admin alone
may, and changes need a token that other sites cannot know (OWASP, Cross-Site Request Forgery Prevention: HMAC-based).
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie

from serving.api_keys import ADMIN, READ, WRITE, ApiKey
from serving.headers import header
from serving.key_ring import KeyRing

COOKIE = "fankui_session"
TOKEN_HEADER = b"x-csrf-token"
HOURS = 12
"""A working day; then the key is asked for again."""

_DIGEST = 32  # hex digits of the string's digest: 128 bits, and no help in finding the string
_LONGEST = 512  # bytes of a cookie that is looked at
_SAFE = ("GET", "HEAD")


class Sessions:
    """Opens and checks sessions of one store's keys."""

    def __init__(self, secret: bytes, ring: KeyRing, *, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._ring = ring
        self._now = now

    def open(self, shown: bytes, key: ApiKey) -> str:
        """The cookie's value for a key whose string was shown."""
        digest = hashlib.sha256(shown).hexdigest()[:_DIGEST]
        ends = round(self._now()) + HOURS * 3600
        body = f"{key.id}.{digest}.{ends}.{secrets.token_hex(8)}"
        return f"{body}.{self._sign('session', body)}"

    async def find(self, session: str) -> ApiKey | None:
        """The key behind a session, with the scopes that a session has; None where it has ended or is no session."""
        body, _, signature = session.rpartition(".")
        if not body or not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        identity, digest, ends, _ = body.split(".")
        if self._now() >= int(ends):
            return None
        key = await self._ring.holder(identity)
        now = datetime.now(UTC)
        if key is None or not key.usable(now) or not any(held.digest.startswith(digest) for held in key.held(now)):
            return None
        scopes = tuple(scope for scope in (READ, WRITE) if scope in key.scopes or ADMIN in key.scopes)
        return replace(key, scopes=scopes)

    def token(self, session: str) -> str:
        """What changes have to bring along in the header X-CSRF-Token; on the page, which other sites cannot read."""
        return self._sign("csrf", session)

    def allows(self, method: str, session: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request may be one of the page's: it changes nothing, or has the token."""
        shown = header(headers, TOKEN_HEADER)
        return method in _SAFE or hmac.compare_digest(shown.encode("latin-1"), self.token(session).encode())

    def _sign(self, purpose: str, value: str) -> str:
        return hmac.new(self._secret, f"{purpose}\n{value}".encode(), hashlib.sha256).hexdigest()


def session_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The session of a request's cookies, empty where there is none."""
    shown = header(headers, b"cookie")
    if COOKIE not in shown or len(shown) > 8 * _LONGEST:
        return ""
    try:
        morsel = SimpleCookie(shown).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None and len(morsel.value) <= _LONGEST and morsel.value.isascii() else ""


def is_https(scope_scheme: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the browser came by https, as a proxy tells; wrong, it only makes the liar's own cookie useless."""
    return scope_scheme == "https" or header(headers, b"x-forwarded-proto").strip().lower() == "https"


def from_this_site(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a form was sent from a page of ours. Old browsers, and those on plain http, tell the origin alone."""
    pairs = list(headers)
    site = header(pairs, b"sec-fetch-site")
    if site:
        return site in ("same-origin", "none")
    origin = header(pairs, b"origin")
    return not origin or origin.partition("://")[2].lower() == header(pairs, b"host").strip().lower()
