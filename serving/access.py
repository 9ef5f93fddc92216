"""Who may do what: API keys in `Authorization: Bearer` or `X-Api-Key` (RFC 6750), checked before a body is read.

A plain ASGI wrapper. `state.key_fingerprint` is the key's id from here on, `state.key` the key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api_keys import ApiKey
from serving.body_limit import refuse
from serving.headers import header
from serving.key_ring import KeyRing
from serving.problems import RequestProblem, problem_response
from serving.rate_limits import RateLimits
from serving.scopes import Scopes

_LONGEST = 256  # bytes; a key has 88


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    problem: RequestProblem
    headers: Mapping[str, str] = field(default_factory=dict)


class Access:
    """Wraps an application; lets everything through as long as the ring asks for no keys."""

    def __init__(self, app: ASGIApp, *, ring: KeyRing, scopes: Scopes, limits: RateLimits) -> None:
        self.app = app
        self.ring = ring
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
        shown = presented(scope["headers"])
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
        scope["state"]["key"], scope["state"]["key_fingerprint"] = key, key.id
        if key.rate is not None and (wait := self.limits.take(key.id, key.rate)):
            detail = f"expected at most {key.rate} requests a minute with this key; wait as Retry-After says"
            return Refusal(RequestProblem("rate_limited", detail), {"Retry-After": str(wait)})
        return key if key.may(needed) else scope_missing(needed)


def presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The key of a request, as it came; empty where there is none."""
    scheme, _, credentials = header(headers, b"authorization").partition(" ")
    shown = credentials if scheme.lower() == "bearer" else header(headers, b"x-api-key")
    return shown.strip().encode("latin-1")


def scope_missing(needed: Iterable[str]) -> Refusal:
    """The refusal of a key that is good for other things."""
    names = sorted(needed)
    detail = f"expected an API key with the scope {' or '.join(names)}; use another, or have one made"
    challenge = f'Bearer realm="fankui", error="insufficient_scope", scope="{" ".join(names)}"'
    return Refusal(RequestProblem("scope_missing", detail), {"WWW-Authenticate": challenge})


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without the body, which may be large: then the connection ends with it."""
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
