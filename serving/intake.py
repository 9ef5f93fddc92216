"""From a request's body to comments: one item or a batch, every bad one replaced by the reason why.

Duplicate keys, NaN, Infinity, 1e999 and lone surrogates are refused, wherever they stand: alone with a 4xx, in a batch
for their own item only.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline.errors import FeedbackError
from pipeline.feedback import Feedback
from serving.headers import header
from serving.problems import RequestProblem
from serving.shapes import Item
from serving.strict_json import Flaw, find_flaw, not_utf8, parse


@dataclass(frozen=True, slots=True)
class Refused:
    """A comment that cannot be scored, with its id where that could be read."""

    error: FeedbackError
    id: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """What a request asks for."""

    items: tuple[Feedback | Refused, ...]
    alone: bool  # one item, not a batch: its error is the request's


def check_media_type(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise RequestProblem `media_type_unsupported` unless the body says that it is plain JSON.

    A web page of another origin cannot send that type without asking first, and nobody here says yes.
    """
    found = header(headers, b"content-type")
    if found == "application/json" and not header(headers, b"content-encoding"):
        return
    media, *parameters = [part.strip().lower() for part in found.split(";")]
    charsets = [part for part in parameters if part.startswith("charset=")]
    if media != "application/json" or any(
        part.removeprefix("charset=").strip('"') not in ("utf-8", "utf8") for part in charsets
    ):
        raise RequestProblem("media_type_unsupported", "expected Content-Type: application/json, in UTF-8")
    if header(headers, b"content-encoding").strip().lower() not in ("", "identity"):
        raise RequestProblem("media_type_unsupported", "expected a body that is not compressed")


def read_request(body: bytes, *, max_items: int) -> Intake:
    """Parse and check a body. Raises RequestProblem for a body that is not a request; a bad item is in its place."""
    document, clean = parse(body)
    if isinstance(document, Mapping) and "items" in document:
        return Intake(tuple(read_item(entry) for entry in _entries(document, max_items)), alone=False)
    if not clean:
        raise not_utf8()
    return Intake((read_item(document),), alone=True)


def _entries(document: Mapping[str, Any], max_items: int) -> list[Any]:
    others = {key: value for key, value in document.items() if key != "items"}
    flaw = find_flaw(others)
    if flaw is not None:
        raise RequestProblem(flaw.code, flaw.message)
    items = document["items"]
    if isinstance(items, Flaw):
        raise RequestProblem(items.code, items.message)
    if others or not isinstance(items, list) or not items:
        raise RequestProblem(
            "invalid_batch", f"expected an object with 'items' alone, a list of 1 to {max_items} comments"
        )
    if len(items) > max_items:
        raise RequestProblem(
            "too_many_items", f"expected at most {max_items} items; found {len(items)}; send several batches"
        )
    return items


def read_item(value: Any) -> Feedback | Refused:
    """One item as it was parsed, or why it is none."""
    flaw = find_flaw(value)
    if flaw is not None:
        return Refused(RequestProblem(flaw.code, flaw.message), _id(value))
    try:
        item = Item.model_validate(value)
    except ValidationError as error:
        return Refused(RequestProblem("invalid_item", _invalid(error)), _id(value))
    return feedback_of(item)


def feedback_of(item: Item) -> Feedback:
    """The comment of a checked item."""
    return Feedback(
        text=item.text,
        id=item.id or "",
        channel=item.channel,
        created_at=item.created_at,
        customer_ref=item.customer_ref,
        metadata=item.metadata or {},
    )


def _id(value: Any) -> str:
    found = value.get("id") if isinstance(value, Mapping) else None
    return found if isinstance(found, str) and len(found) <= 200 and find_flaw(found) is None else ""


def _invalid(error: ValidationError) -> str:
    told = wrong_fields(error, known=Item.model_fields)
    return f"expected an item with {', '.join(Item.model_fields)}, of which only text is needed; {told}"


def wrong_fields(error: ValidationError, *, known: Container[str]) -> str:
    """What is wrong with which field. Names only fields of ours: an unknown one may be the comment itself."""
    told = []
    for entry in error.errors(include_url=False, include_context=False, include_input=False):
        field = entry["loc"][0] if entry["loc"] else None
        if field is None:
            told.append("expected an object")
        elif field not in known:
            told.append("found a field that is not known")
        else:
            told.append(f"{field}: {entry['msg'].removeprefix('Value error, ')}")
    return "; ".join(dict.fromkeys(told))
