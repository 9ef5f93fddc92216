"""Who is told of events: a URL, the types that it wants, and the secrets that its messages are signed with.

Secrets have to be readable to sign with. They are kept sealed (serving/sealing.py) where FANKUI_RAW_KEYS holds a key,
otherwise as they are, in the store. They are shown once, when they are made.
"""

import base64
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.errors import UsageError
from serving.problems import RequestProblem
from serving.sealing import Seal
from serving.store.events import TYPES
from serving.webhooks.signing import new_secret

OPERATOR, GONE = "operator", "gone"
"""Why one is disabled: somebody said so, or it answered 410."""

_NAME = re.compile(r"[A-Za-z0-9_.一-鿿][A-Za-z0-9_.一-鿿-]{0,63}")
_MOST_SECRETS = 4  # at once; each adds 50 bytes to every message


class SecretSealed(Exception):  # noqa: N818  (an outcome of an attempt)
    """A secret was sealed with a key that this process does not have."""


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """One secret as it is kept; while it is being changed there are two."""

    value: str  # whsec_…, or base64 of the same sealed
    sealed: bool
    created_at: datetime
    expires_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        times = {name: None if time is None else time.isoformat() for name, time in self._times().items()}
        return {"value": self.value, "sealed": self.sealed, **times}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "SigningSecret":
        """The inverse."""
        expires_at = body["expires_at"]
        return cls(
            value=body["value"],
            sealed=body["sealed"],
            created_at=datetime.fromisoformat(body["created_at"]),
            expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
        )

    def _times(self) -> dict[str, datetime | None]:
        return {"created_at": self.created_at, "expires_at": self.expires_at}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A subscription."""

    id: str
    name: str
    url: str
    types: tuple[str, ...]  # empty for all
    secrets: tuple[SigningSecret, ...]
    created_at: datetime
    disabled_at: datetime | None = None
    disabled_why: str | None = None
    failures: int = 0  # attempts in a row
    wait_until: datetime | None = None

    def wants(self, type_: str) -> bool:
        """Whether it is told of events of that type."""
        return not self.types or type_ in self.types

    def held(self, now: datetime) -> tuple[SigningSecret, ...]:
        """Its secrets that have not expired, the newest first."""
        valid = [secret for secret in self.secrets if secret.expires_at is None or now < secret.expires_at]
        return tuple(reversed(valid))


def new_endpoint(
    name: str, url: str, types: Iterable[str], *, now: datetime, seal: Seal | None
) -> tuple[Endpoint, str]:
    """A subscription and its secret, which can be had nowhere else. `url` is checked. Raises UsageError."""
    wanted = set(types)
    if not _NAME.fullmatch(name):
        raise UsageError("webhook_invalid", "a webhook's name: expected 1 to 64 letters, digits, '_', '.' and '-'")
    if unknown := sorted(wanted - set(TYPES)):
        raise UsageError("webhook_invalid", f"--event: expected some of {', '.join(TYPES)}; found {unknown[0]!r}")
    identity = secrets.token_hex(6)
    secret, shown = _new_secret(identity, now, seal)
    ordered = tuple(type_ for type_ in TYPES if type_ in wanted)
    return Endpoint(identity, name, url, ordered, (secret,), now), shown


def rotated(endpoint: Endpoint, *, now: datetime, overlap: timedelta, seal: Seal | None) -> tuple[Endpoint, str]:
    """The subscription with a new secret; messages are signed with the present ones too for `overlap` more."""
    secret, shown = _new_secret(endpoint.id, now, seal)
    end = now + overlap
    present = reversed(endpoint.held(now)[: _MOST_SECRETS - 1])
    kept = [replace(old, expires_at=min(end, old.expires_at or end)) for old in present] if overlap else []
    return replace(endpoint, secrets=(*kept, secret)), shown


def signing_keys(endpoint: Endpoint, *, now: datetime, seal: Seal | None) -> list[str]:
    """What to sign with, the newest first. Raises SecretSealed."""
    return [_opened(endpoint, secret, seal) for secret in endpoint.held(now)]


def find_endpoint(endpoints: Iterable[Endpoint], which: str) -> Endpoint:
    """The one with that name or id. Raises UsageError `webhook_unknown`."""
    for endpoint in endpoints:
        if which in (endpoint.name, endpoint.id):
            return endpoint
    raise UsageError("webhook_unknown", f"expected the name or id of a webhook; found {which!r}; see list")


def _new_secret(identity: str, now: datetime, seal: Seal | None) -> tuple[SigningSecret, str]:
    shown = new_secret()
    if seal is None:
        return SigningSecret(shown, False, now), shown
    sealed = seal.close(shown.encode(), bound_to=_bound(identity))
    return SigningSecret(base64.b64encode(sealed).decode("ascii"), True, now), shown


def _opened(endpoint: Endpoint, secret: SigningSecret, seal: Seal | None) -> str:
    if not secret.sealed:
        return secret.value
    if seal is None:
        raise SecretSealed
    try:
        return seal.open(base64.b64decode(secret.value), bound_to=_bound(endpoint.id)).decode("ascii")
    except RequestProblem:
        raise SecretSealed from None


def _bound(identity: str) -> str:
    return f"webhook {identity}"  # a comment's id has no space in it
