"""What is kept of a comment instead of the customer's own data (pipeline/privacy.py says what is found)."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from pipeline.errors import TextError
from pipeline.prepare import prepare, prepare_whole
from pipeline.privacy import find, mask
from pipeline.text import MAX_CHARS, RAW_PER_CHAR

LONGEST = MAX_CHARS * RAW_PER_CHAR
"""Characters of a comment that are kept; a longer one is refused, so that nothing of it is lost without a word."""

SECRET = "pseudonyms"
"""Name of the store's secret that `pseudonym` takes."""

_DIGITS = 16  # hex, of a pseudonym: 64 bits


def redacted_text(text: str) -> str:
    """The comment, normalized and masked. Raises TextError as `prepare` does."""
    # What is cut into pieces may have been cut in the middle of a number, which shows only once they are joined.
    return mask(prepare_whole(text).whole).text


def redacted_note(text: str | None) -> str | None:
    """A remark of a person's, masked; None where there is nothing to read in it."""
    if text is None:
        return None
    try:
        return mask(prepare(text, max_chars=LONGEST).text).text
    except TextError:
        return None


def redacted_name(name: str) -> str:
    """Of whoever works on a comment: as it stands, but for a phone number or the like in it."""
    return str(redacted_metadata(name))


def pseudonym(name: str | None, secret: bytes) -> str | None:
    """A reference as it is kept: itself, or a name that stands for it where it is personal data, as a phone number is.

    The same reference always has the same pseudonym in one store, so that repeats are still seen.
    """
    if name is None or not (found := _kinds(name)):
        return name
    return f"[{found[0]}]{hmac.new(secret, name.encode(), hashlib.sha256).hexdigest()[:_DIGITS]}"


def redacted_metadata(value: Any) -> Any:
    """JSON with every text in it masked, keys too, and numbers that are somebody's."""
    if isinstance(value, str):
        return _masked(value)
    if isinstance(value, Mapping):
        return {_masked(str(key)): redacted_metadata(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_metadata(entry) for entry in value]
    if isinstance(value, int) and not isinstance(value, bool) and find(str(value)):
        return _masked(str(value))
    return value


def _kinds(text: str) -> tuple[str, ...]:
    try:
        return prepare(text).pii
    except TextError:  # nothing visible
        return ()


def _masked(text: str) -> str:
    """As it stands where nothing is found in it; otherwise normalized, which is where masks belong."""
    try:
        found = prepare(text, max_chars=max(MAX_CHARS, len(text)))
    except TextError:
        return text
    return found.text if found.pii else text
