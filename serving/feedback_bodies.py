"""From the bodies of the store's requests to what they mean; as strict as /v1/classify (serving/strict_json.py)."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.errors import FeedbackError
from pipeline.feedback import Feedback, Gold
from pipeline.gold import LabelMistake, parse_gold
from pipeline.schema import Kind, LabelSchema
from serving.feedback_shapes import FeedbackItem
from serving.intake import feedback_of, wrong_fields
from serving.problems import RequestProblem
from serving.strict_json import find_flaw, not_utf8, parse

M = TypeVar("M", bound=BaseModel)

LONGEST_KEY = 255

DEEPEST = 64
"""Levels of a body; every level costs those who walk through metadata a frame or two."""

_LARGE = 64 << 10  # bytes; reading more than that takes over a millisecond, which the event loop is spared


async def read_document(body: bytes) -> Any:
    """The JSON of a body. Raises RequestProblem for what is doubtful anywhere in it, NUL characters included."""
    return _document(body) if len(body) <= _LARGE else await asyncio.to_thread(_document, body)


def _document(body: bytes) -> Any:
    document, clean = parse(body)
    if not clean:
        raise not_utf8()
    flaw = find_flaw(document)
    if flaw is not None:
        raise RequestProblem(flaw.code, flaw.message)
    _check_depth_and_nul(document)
    return document


def read_feedback(document: Any) -> Feedback:
    """The comment of a document. Raises RequestProblem `invalid_item`."""
    return feedback_of(read_model(document, FeedbackItem, code="invalid_item"))


def read_model(document: Any, model: type[M], *, code: str = "invalid_body") -> M:
    """The document as that model. Raises RequestProblem with that code."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        known = model.model_fields
        told = wrong_fields(error, known=known)
        raise RequestProblem(code, f"expected an object with {', '.join(known)}; {told}") from None


def read_label(label: Any, *, task: str, schema: LabelSchema) -> Gold:
    """A label of the model's in canonical form. Raises RequestProblem `invalid_label`."""
    # What was found is never repeated: it may be the comment itself.
    if task not in schema:
        names = ", ".join(known.name for known in schema.tasks)
        raise RequestProblem("invalid_label", f"expected `task` to be one of the model's: {names}")
    known = schema.task(task)
    try:
        found = parse_gold(label, known)
    except (LabelMistake, FeedbackError):
        found = None
    if found is None:
        keys = ", ".join(known.keys)
        wanted = {
            Kind.ASPECT: f'an object such as {{"{known.keys[0]}": -1}}, from {keys} to -1, 0 or 1',
            Kind.MULTI: f"a list of {keys}, or of their 中文 names",
        }.get(known.kind, f"one of {keys}, or its 中文 name")
        raise RequestProblem("invalid_label", f"expected the label of {task} to be {wanted}; /v1/labels explains them")
    return found


def digest_of(document: Any, secret: bytes) -> str:
    """Equal for equal documents, however they were written. Keyed, for a comment is easily guessed."""
    plain = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hmac.new(secret, plain.encode(), hashlib.sha256).hexdigest()


def read_key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The Idempotency-Key, None where there is no such header. Raises RequestProblem `idempotency_key_invalid`.

    The draft has it in quotes (RFC 9651, strings), most clients without.
    """
    values = [value.decode("latin-1") for name, value in headers if name == b"idempotency-key"]
    if not values:
        return None
    value = values[0] if len(values) == 1 else ""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not 0 < len(value) <= LONGEST_KEY or not (value.isascii() and value.isprintable()):
        raise RequestProblem(
            "idempotency_key_invalid",
            f"expected one Idempotency-Key of 1 to {LONGEST_KEY} printable ASCII characters, such as a UUID",
        )
    return value


def _check_depth_and_nul(document: Any) -> None:
    waiting = [(document, 1)]
    while waiting:
        current, depth = waiting.pop()
        if isinstance(current, str) and "\0" in current:
            # PostgreSQL has no place for it, and nobody means it.
            raise RequestProblem("nul_character", "expected text; found a NUL character (U+0000); remove it")
        if not isinstance(current, dict | list):
            continue
        if depth > DEEPEST:
            raise RequestProblem("invalid_body", f"expected at most {DEEPEST} objects and lists inside each other")
        inner = [*current, *current.values()] if isinstance(current, dict) else current
        waiting.extend((entry, depth + 1) for entry in inner)
