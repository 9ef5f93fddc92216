"""What OpenAPI says of the server beyond what FastAPI finds out by itself: bodies that we parse, and problems."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from serving.feedback_shapes import CallBody, CorrectionBody, ErasureBody, FeedbackItem, StatusBody
from serving.problems import MEDIA_TYPE, RETRY_AFTER, STATUS, TITLES
from serving.scopes import NEEDED
from serving.settings import ServeSettings
from serving.shapes import Item, ProblemAnswer
from serving.uploads import JSON, SUFFIXES
from serving.webhooks.shapes import ReplayBody

API_VERSION = "1.0.0"
TITLE = "fankui (反馈)"
DESCRIPTION = (
    "Classifies and routes Chinese customer feedback. Errors are RFC 9457 problem details with a stable `code`; "
    "no error holds any of the input."
)

MODEL_CHOICE: dict[str, Any] = {
    "name": "X-Model-Version",
    "in": "header",
    "required": False,
    "description": "A version that is loaded, as /v1/models names it; without it the one in service answers.",
    "schema": {"type": "string"},
}

CLASSIFY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [{"$ref": "#/components/schemas/Item"}, {"$ref": "#/components/schemas/Batch"}],
                },
            }
        },
    },
    "parameters": [MODEL_CHOICE],
}

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes trying again safe: a new one, such as a UUID, for each comment. Remembered for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}

STORED_HEADERS: dict[str, Any] = {
    "Location": {"description": "Path of the comment.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true` where this is the answer of before, and nothing was stored now.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}

JOB_HEADERS: dict[str, Any] = {
    "Location": {"description": "Path of the job.", "schema": {"type": "string"}},
    "Idempotent-Replayed": STORED_HEADERS["Idempotent-Replayed"],
}

JOB_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/JobBatch"}},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in SUFFIXES if kind != JSON},
        },
    }
}

_FILE: dict[str, Any] = {
    "text/csv": {"schema": {"type": "string"}},
    "application/jsonl": {"schema": {"type": "string"}},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}

RESULTS_FILE: dict[int | str, dict[str, Any]] = {200: {"description": "The results", "content": _FILE}}

EXPORT_FILE: dict[int | str, dict[str, Any]] = {200: {"description": "The file", "content": _FILE}}

METRICS_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
}

_SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, where the server asks for one: on other addresses than the loopback, and wherever "
        "a key was made. One of the scopes named at each path is enough; admin always is.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "Likewise."},
}

_ALWAYS = (400, 408, 413, 500)  # unknown Host; slow or too large body, which any method may carry; our fault


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: those that every route has, and `statuses`."""
    return {status: _problem(status) for status in sorted({*_ALWAYS, *statuses})}


def guarded(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Likewise of a route that may ask for an API key."""
    return problems(401, 403, 429, *statuses)


def body_of(name: str) -> dict[str, Any]:
    """The `openapi_extra` of a route that parses its body itself; `name` is a component's."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {"requestBody": {"required": True, "content": content}}


def describe(app: FastAPI, settings: ServeSettings) -> None:
    """Let `app.openapi()` give the whole document."""
    app.openapi = _cached(lambda: _document(app, settings))  # type: ignore[method-assign]


def _document(app: FastAPI, settings: ServeSettings) -> dict[str, Any]:
    document = get_openapi(title=TITLE, version=API_VERSION, description=DESCRIPTION, routes=app.routes)
    schemas = document["components"]["schemas"]
    schemas["Item"] = _schema(Item)
    if settings.store is not None:
        bodies = (FeedbackItem, CorrectionBody, StatusBody, CallBody, ErasureBody, ReplayBody)
        schemas.update({model.__name__: _schema(model) for model in bodies})
    schemas["Problem"] = _schema(ProblemAnswer)
    document["components"]["securitySchemes"] = _SECURITY
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if needed := NEEDED[f"{method.upper()} {path}"]:
                operation["security"] = [{name: sorted(needed)} for name in _SECURITY]
    schemas["Batch"] = _batch("Batch", settings.max_items)
    if settings.store is not None:
        schemas["JobBatch"] = _batch("JobBatch", settings.max_job_rows)
    return document


def _batch(title: str, most: int) -> dict[str, Any]:
    return {
        "title": title,
        "description": "Several comments.",
        "type": "object",
        "additionalProperties": False,
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "minItems": 1,
                "maxItems": most,
                # Whatever stands there, the batch is answered.
                "items": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/Item"},
                        {"description": "Anything else gets an error in its place."},
                    ]
                },
            }
        },
    }


def _problem(status: int) -> dict[str, Any]:
    codes = [code for code, known in STATUS.items() if known == status]
    found: dict[str, Any] = {
        "description": f"{TITLES[status]}: {', '.join(f'`{code}`' for code in codes)}",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if any(code in RETRY_AFTER for code in codes):
        found["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    if status in (401, 403):
        challenge = {"description": "RFC 6750.", "schema": {"type": "string"}}
        found["headers"] = {"WWW-Authenticate": challenge}
    return found


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(ref_template="#/components/schemas/{model}")


def _cached(build: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    held: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not held:
            held.update(build())
        return held

    return document
