"""API keys: what one looks like, what is kept of it, and what it may do. Where they are kept is another matter.

A key is `fk_`, its id in 12 hex digits, `_`, 256 random bits in 64 and a CRC-32 in 8: scanners of repositories
recognize it, and a slip of the hand is seen without asking anybody. The SHA-256 of all of it is kept. A slow hash, as
passwords need, would protect nothing here (nobody guesses 256 bits) and cost every request a tenth of a second.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from pipeline.errors import ConfigError, UsageError

SCORE, WRITE, READ, ADMIN = "score", "write", "read", "admin"
SCOPES = (SCORE, WRITE, READ, ADMIN)
"""What keys can be good for; admin includes the others."""

FASTEST = 1_000_000
"""Highest rate, in requests a minute."""

_FORM = re.compile(rb"fk_([0-9a-f]{12})_([0-9a-f]{64})([0-9a-f]{8})")
_NAME = re.compile(r"[A-Za-z0-9_.一-鿿][A-Za-z0-9_.一-鿿-]{0,63}")
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True, slots=True)
class Secret:
    """One key string of an API key; while it is being changed there are two."""

    digest: str  # SHA-256 of the string, hex
    created_at: datetime
    expires_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"digest": self.digest, "created_at": _iso(self.created_at), "expires_at": _iso(self.expires_at)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Secret":
        """The inverse. Raises KeyError, ValueError or TypeError for anything else."""
        created_at = _time(body["created_at"])
        if created_at is None or not re.fullmatch(r"[0-9a-f]{64}", body["digest"]):
            raise ValueError
        return cls(body["digest"], created_at, _time(body.get("expires_at")))


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A client's key. Its id outlives a change of the string, so that what it owns stays its own."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    secrets: tuple[Secret, ...]
    rate: int | None = None  # requests a minute
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self._valid(now) and bool(self.held(now))

    def held(self, now: datetime) -> tuple[Secret, ...]:
        """Its strings that have not expired at that time."""
        return tuple(secret for secret in self.secrets if _holds(secret.expires_at, now))

    def matches(self, digest: str, now: datetime) -> bool:
        """Whether a string with that digest is this key's, at that time; all are compared, in constant time."""
        found = False
        for secret in self.secrets:
            found |= hmac.compare_digest(secret.digest, digest) and _holds(secret.expires_at, now)
        return found and self._valid(now)

    def may(self, scopes: Iterable[str]) -> bool:
        """Whether it has one of them; none asked for is had by all."""
        wanted = tuple(scopes)
        return not wanted or ADMIN in self.scopes or any(scope in self.scopes for scope in wanted)

    def _valid(self, now: datetime) -> bool:
        return self.revoked_at is None and _holds(self.expires_at, now)


class KeyShelf(Protocol):
    """Where keys are kept: a file (key_file.py) or the store (store/key_table.py). All methods block."""

    def load(self) -> list[ApiKey]:
        """All of them, revoked ones too."""

    def put(self, key: ApiKey) -> None:
        """Add it, or replace the one with its id. Raises ConfigError where that cannot be."""

    def used(self, times: Mapping[str, datetime]) -> None:
        """Note when keys were used last, by id."""


def new_key(
    name: str, scopes: Iterable[str], *, now: datetime, rate: int | None = None, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A key and its string, which is nowhere else. Raises UsageError."""
    wanted = set(scopes)
    if not _NAME.fullmatch(name):
        raise UsageError("key_invalid", "a key's name: expected 1 to 64 letters, digits, '_', '.' and '-'")
    if not wanted or wanted - set(SCOPES):
        raise UsageError("key_invalid", f"--scope: expected some of {', '.join(SCOPES)}")
    if rate is not None and not 1 <= rate <= FASTEST:
        raise UsageError("key_invalid", f"--rate: expected 1 to {FASTEST} requests a minute")
    if expires_at is not None and expires_at <= now:
        raise UsageError("key_invalid", "expected a key that expires in the future")
    identity = secrets.token_hex(6)
    secret, shown = _new_secret(identity, now)
    ordered = tuple(scope for scope in SCOPES if scope in wanted)
    return ApiKey(identity, name, ordered, now, (secret,), rate=rate, expires_at=expires_at), shown


def rotated(key: ApiKey, *, now: datetime, overlap: timedelta) -> tuple[ApiKey, str]:
    """The key with a new string beside the present one, which holds for `overlap` more. Raises UsageError."""
    if not key.usable(now):
        raise UsageError("key_invalid", f"the key {key.name} is revoked or has expired; create a new one")
    secret, shown = _new_secret(key.id, now)
    end = now + overlap
    kept = [replace(old, expires_at=min(end, old.expires_at or end)) for old in key.held(now)] if overlap else []
    return replace(key, secrets=(*kept, secret)), shown


def find_key(keys: Iterable[ApiKey], which: str) -> ApiKey:
    """The key with that id, or the one of that name that is not revoked. Raises UsageError `key_unknown`."""
    known = list(keys)
    named = [key for key in known if key.name == which and key.revoked_at is None]
    found = [key for key in known if key.id == which] or named
    if len(found) != 1:
        raise UsageError("key_unknown", f"expected the name or id of a key; found {len(found)} for {which!r}; see list")
    return found[0]


def well_formed(shown: bytes) -> bool:
    """Whether a string from outside can be a key at all."""
    parts = _FORM.fullmatch(shown)
    return parts is not None and zlib.crc32(shown[:-8]) == int(parts[3], 16)


def open_with(keys: Mapping[str, ApiKey], shown: bytes, now: datetime) -> ApiKey | None:
    """The key that a string from outside opens, by id; None for one that is malformed, unknown, expired or revoked."""
    if not well_formed(shown):
        return None
    digest = hashlib.sha256(shown).hexdigest()
    key = keys.get(shown[3:15].decode("ascii"))
    if key is None:
        hmac.compare_digest(_NOBODY, digest)  # an unknown id takes as long as a wrong secret
        return None
    return key if key.matches(digest, now) else None


def key_of(body: Mapping[str, Any]) -> ApiKey:
    """A key out of what `key_dict` made. Raises ConfigError `keys_invalid`."""
    try:
        created_at = _time(body["created_at"])
        rate = body.get("rate")
        scopes = tuple(body["scopes"])
        if created_at is None or not re.fullmatch(r"[0-9a-f]{12}", body["id"]) or set(scopes) - set(SCOPES):
            raise ValueError
        if rate is not None and (not isinstance(rate, int) or not 1 <= rate <= FASTEST):
            raise ValueError
        return ApiKey(
            id=body["id"],
            name=str(body["name"]),
            scopes=scopes,
            created_at=created_at,
            secrets=tuple(Secret.from_dict(entry) for entry in body["secrets"]),
            rate=rate,
            expires_at=_time(body.get("expires_at")),
            revoked_at=_time(body.get("revoked_at")),
            last_used_at=_time(body.get("last_used_at")),
        )
    except (KeyError, ValueError, TypeError):
        raise ConfigError(
            "keys_invalid", "expected API keys as `fankui keys create` writes them; found something else"
        ) from None


def key_dict(key: ApiKey) -> dict[str, Any]:
    """A key as JSON; no string can be had from it."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "rate": key.rate,
        "created_at": _iso(key.created_at),
        "expires_at": _iso(key.expires_at),
        "revoked_at": _iso(key.revoked_at),
        "last_used_at": _iso(key.last_used_at),
        "secrets": [secret.to_dict() for secret in key.secrets],
    }


def _new_secret(identity: str, now: datetime) -> tuple[Secret, str]:
    body = f"fk_{identity}_{secrets.token_hex(32)}"
    shown = f"{body}{zlib.crc32(body.encode()):08x}"
    return Secret(hashlib.sha256(shown.encode()).hexdigest(), now), shown


def _holds(until: datetime | None, now: datetime) -> bool:
    return until is None or now < until


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(value: str | None) -> datetime | None:
    if value is None:
        return None
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError
    return time
