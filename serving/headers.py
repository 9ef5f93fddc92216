"""Headers as a server hands them over: pairs of bytes with lower-case names.

Starlette's Headers decodes every name at every look-up, which adds up to a fifth of what a request may cost.
"""

from collections.abc import Iterable

MODEL_VERSION = b"x-model-version"
"""Names the version that shall answer, one of those that are loaded."""


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """The first header of that lower-case name, empty where there is none."""
    for known, value in headers:
        if known == name:
            return value.decode("latin-1")
    return ""
