"""Who may do what: API keys in `Authorization: Bearer` or `X-Api-Key` (RFC 6750), checked before a body is read.

Or a session of the page's, opened with such a key (serving/page/sessions.py). A plain ASGI wrapper.
`state.key_fingerprint` is the key's id from here on, `state.key` the key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api_keys import ApiKey
from serving.body_limit import refuse
from serving.headers import header
from serving.key_ring import KeyRing
from serving.page.sessions import Sessions, session_of
from serving.problems import RequestProblem, problem_response
from serving.rate_limits import RateLimits
from serving.scopes import Scopes

PAGE, LOGIN = "/dashboard", "/dashboard/login"

_LONGEST = 256  # bytes; a key has 88
_ASKED = ("key_missing", "key_invalid", "session_ended", "scope_missing")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    problem: RequestProblem
    headers: Mapping[str, str] = field(default_factory=dict)


class Access:
    """Wraps an application; lets everything through as long as the ring asks for no keys."""

    def __init__(
        self, app: ASGIApp, *, ring: KeyRing, scopes: Scopes, limits: RateLimits, sessions: Sessions | None = None
    ) -> None:
        self.app = app
        self.ring = ring
        self.sessions = sessions
        self.scopes = scopes
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.ring.asked:
            await self.app(scope, receive, send)
            return
        needed = self.scopes.needed(scope["method"], scope["path"])
        if not needed:
            await self.app(scope, receive, send)
            return
        found = await self._admit(scope, needed)
        if isinstance(found, Refusal):
            await _refuse(found, scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _admit(self, scope: Scope, needed: frozenset[str]) -> ApiKey | Refusal:
        key = await self._key(scope)
        if isinstance(key, Refusal):
            return key
        scope["state"]["key"], scope["state"]["key_fingerprint"] = key, key.id
        if key.rate is not None and (wait := self.limits.take(key.id, key.rate)):
            return rate_limited(key.rate, wait)
        return key if key.may(needed) else scope_missing(needed)

    async def _key(self, scope: Scope) -> ApiKey | Refusal:
        shown = presented(scope["headers"])
        if not shown and self.sessions is not None and (session := session_of(scope["headers"])):
            return await self._key_of_session(self.sessions, session, scope)
        if not shown:
            return Refusal(
                RequestProblem(
                    "key_missing", "expected an API key in the header Authorization, as `Bearer fk_…`, or in X-Api-Key"
                ),
                {"WWW-Authenticate": 'Bearer realm="fankui"'},
            )
        key = await self.ring.find(shown) if len(shown) <= _LONGEST else None
        if key is None:
            return Refusal(
                RequestProblem(
                    "key_invalid",
                    "expected a valid API key; found one that is unknown, revoked or has expired; ask those who run "
                    "the server for another",
                ),
                {"WWW-Authenticate": 'Bearer realm="fankui", error="invalid_token"'},
            )
        return key

    async def _key_of_session(self, sessions: Sessions, session: str, scope: Scope) -> ApiKey | Refusal:
        key = await sessions.find(session)
        if key is None:
            return Refusal(
                RequestProblem("session_ended", f"the session has ended; open {LOGIN} and show a key again"),
                {"WWW-Authenticate": 'Bearer realm="fankui"'},
            )
        if not sessions.allows(scope["method"], session, scope["headers"]):
            detail = "expected the page's token in the header X-CSRF-Token, as changes with a session need; reload it"
            return Refusal(RequestProblem("csrf_refused", detail))
        return key


def presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The key of a request, as it came; empty where there is none."""
    scheme, _, credentials = header(headers, b"authorization").partition(" ")
    shown = credentials if scheme.lower() == "bearer" else header(headers, b"x-api-key")
    return shown.strip().encode("latin-1")


def rate_limited(rate: int, wait: int) -> Refusal:
    """The refusal of a key that asks too often, for `wait` seconds."""
    detail = f"expected at most {rate} requests a minute with this key; wait as Retry-After says"
    return Refusal(RequestProblem("rate_limited", detail), {"Retry-After": str(wait)})


def scope_missing(needed: Iterable[str]) -> Refusal:
    """The refusal of a key that is good for other things."""
    names = sorted(needed)
    detail = f"expected an API key with the scope {' or '.join(names)}; use another, or have one made"
    challenge = f'Bearer realm="fankui", error="insufficient_scope", scope="{" ".join(names)}"'
    return Refusal(RequestProblem("scope_missing", detail), {"WWW-Authenticate": challenge})


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without the body, which may be large: then the connection ends with it. Browsers are asked for a key."""
    if refusal.problem.code in _ASKED and scope["path"] == PAGE and "text/html" in header(scope["headers"], b"accept"):
        await RedirectResponse(LOGIN, status_code=303)(scope, receive, send)
        return
    has_body = header(scope["headers"], b"transfer-encoding") or header(scope["headers"], b"content-length") not in (
        "",
        "0",
    )
    if has_body:
        await refuse(refusal.problem, scope, receive, send, headers=refusal.headers)
        return
    response = problem_response(
        refusal.problem.code,
        refusal.problem.message,
        request_id=scope["state"]["request_id"],
        headers=refusal.headers,
    )
    await response(scope, receive, send)
