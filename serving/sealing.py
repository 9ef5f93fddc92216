"""Seals what is kept unmasked: AES-256-GCM (NIST SP 800-38D) with keys from the environment, never from the store.

A sealed text is `1`, the key's name and its length, a random nonce of 96 bits, and ciphertext with its tag; it is bound
to the comment's id, so that it cannot be moved to another. One key seals up to 2^32 texts.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping

from pipeline.errors import ConfigError
from serving.problems import RequestProblem

VARIABLE = "FANKUI_RAW_KEYS"

_VERSION = 1
_KEY = 32  # bytes
_NONCE = 12
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class Seal:
    """Seals with the first key, opens with any of them."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        # 30 ms to import, which a server without it is spared.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._current = next(iter(keys))

    def close(self, plain: bytes, *, bound_to: str) -> bytes:
        """Seal a text for the comment with that id."""
        name, nonce = self._current.encode("ascii"), os.urandom(_NONCE)
        head = bytes((_VERSION, len(name))) + name
        return head + nonce + self._ciphers[self._current].encrypt(nonce, plain, head + bound_to.encode())

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """The inverse. Raises RequestProblem `original_sealed` where its key is not there, or it was altered."""
        from cryptography.exceptions import InvalidTag

        try:
            version, length = sealed[0], sealed[1]
            head, nonce = sealed[: 2 + length], sealed[2 + length : 2 + length + _NONCE]
            name = head[2:].decode("ascii")
            if version != _VERSION or name not in self._ciphers:
                raise ValueError
            return self._ciphers[name].decrypt(nonce, sealed[len(head) + _NONCE :], head + bound_to.encode())
        except (IndexError, ValueError, InvalidTag):
            raise sealed_off() from None


def read_keys(value: str | None) -> Seal:
    """The keys of the environment: `NAME:BASE64`, several separated by commas, the one to seal with first.

    Raises ConfigError `raw_keys_invalid`; nothing of a key is in its message.
    """
    keys: dict[str, bytes] = {}
    for entry in (value or "").split(","):
        name, _, encoded = entry.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not _NAME.fullmatch(name) or len(key) != _KEY or name in keys:
            raise ConfigError(
                "raw_keys_invalid",
                f"--keep-raw: expected {VARIABLE} to hold NAME:KEY, where KEY is 32 random bytes in base64 "
                "(openssl rand -base64 32); several separated by commas, the one to seal with first",
            )
        keys[name] = key
    return Seal(keys)


def sealed_off() -> RequestProblem:
    """Of an original whose key is not there."""
    return RequestProblem(
        "original_sealed",
        "the original was sealed with a key that this server does not have, or altered; those who run it can add keys "
        f"to {VARIABLE}",
    )
