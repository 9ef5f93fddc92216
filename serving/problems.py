"""Errors as the server tells them: RFC 9457 problem+json with a stable code and the request's id, never the input."""

from collections.abc import Mapping

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from pipeline.errors import FeedbackError

MEDIA_TYPE = "application/problem+json"

STATUS = {
    "not_json": 400,
    "not_utf8": 400,
    "invalid_unicode": 400,
    "non_finite_number": 400,
    "duplicate_key": 400,
    "host_unknown": 400,
    "http_invalid": 400,
    "idempotency_key_invalid": 400,
    "key_missing": 401,
    "key_invalid": 401,
    "session_ended": 401,
    "scope_missing": 403,
    "csrf_refused": 403,
    "not_found": 404,
    "feedback_unknown": 404,
    "original_unknown": 404,
    "webhook_unknown": 404,
    "job_unknown": 404,
    "model_not_loaded": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "idempotency_in_flight": 409,
    "feedback_exists": 409,
    "status_refused": 409,
    "call_refused": 409,
    "job_unfinished": 409,
    "job_ended": 409,
    "feedback_erased": 410,
    "results_expired": 410,
    "body_too_large": 413,
    "too_many_items": 413,
    "media_type_unsupported": 415,
    "invalid_item": 422,
    "invalid_batch": 422,
    "empty_text": 422,
    "nul_character": 422,
    "not_text": 422,
    "text_too_long": 422,
    "idempotency_mismatch": 422,
    "invalid_body": 422,
    "invalid_cursor": 422,
    "invalid_label": 422,
    "invalid_file": 422,
    "column_missing": 422,
    "overloaded": 429,
    "rate_limited": 429,
    "too_many_jobs": 429,
    "jobs_full": 429,
    "headers_too_large": 431,
    "internal_error": 500,
    "model_failed": 503,
    "not_ready": 503,
    "store_unavailable": 503,
    "original_sealed": 503,
    "upload_failed": 503,
    "file_failed": 503,
    "answer_timeout": 504,
}
"""Every code that the server answers with -> HTTP status. The one table."""

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
"""RFC 9110's names; those of Python's http module change from version to version."""

RETRY_AFTER = {
    "overloaded": "1",
    "rate_limited": "1",
    "model_failed": "5",
    "not_ready": "1",
    "answer_timeout": "5",
    "idempotency_in_flight": "1",
    "store_unavailable": "2",
    "job_unfinished": "5",
    "too_many_jobs": "60",
    "jobs_full": "60",
    "upload_failed": "5",
    "file_failed": "5",
}
"""Seconds after which trying again makes sense, by code."""


class RequestProblem(FeedbackError):  # noqa: N818  (RFC 9457's word)
    """A request that is refused; its code is one of STATUS."""


def problem_body(code: str, detail: str, request_id: str) -> bytes:
    """The JSON of a problem."""
    status = STATUS[code]
    body = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    return orjson.dumps(body)


def problem_response(code: str, detail: str, *, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response for a problem; Retry-After is added where it makes sense."""
    extra = dict(headers or {})
    if code in RETRY_AFTER:
        extra.setdefault("Retry-After", RETRY_AFTER[code])
    return Response(
        problem_body(code, detail, request_id), status_code=STATUS[code], headers=extra, media_type=MEDIA_TYPE
    )


def error_response(error: FeedbackError, *, request_id: str) -> Response:
    """The response for an error of ours; one that is not meant for clients is told as a failure of the server."""
    if error.code in STATUS:
        return problem_response(error.code, error.message, request_id=request_id)
    return problem_response("internal_error", INTERNAL, request_id=request_id)


def answer_in_problems(app: FastAPI) -> None:
    """Replace the framework's error bodies, of which the one for a wrong field would echo the input."""
    app.add_exception_handler(FeedbackError, _feedback_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _feedback_error)


async def _feedback_error(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, FeedbackError) else FeedbackError("internal_error", INTERNAL)
    return error_response(known, request_id=request.state.request_id)


async def _http_exception(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if status == 405 and (allowed := _allowed(request)):
        headers = {**(headers or {}), "Allow": ", ".join(allowed)}
    code, detail = _BY_STATUS.get(status, ("internal_error", INTERNAL))
    return problem_response(code, detail, request_id=request.state.request_id, headers=headers)


def _allowed(request: Request) -> list[str]:
    """Every method that the path has; the router names those of the first route alone."""
    return [
        method.upper()
        for template, methods in request.app.openapi()["paths"].items()
        if compile_path(template)[0].match(request.scope["path"])
        for method in methods
    ]


async def _validation_error(request: Request, error: Exception) -> Response:
    # The names of parameters are ours; what was found there is not repeated.
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    names = sorted({str(found["loc"][1]) for found in errors if len(found["loc"]) > 1})
    named = f" ({', '.join(names)})" if names else ""
    detail = f"a parameter of the request{named} does not fit its description in the API's documentation"
    return problem_response("invalid_item", detail, request_id=request.state.request_id)


INTERNAL = "the server failed at this request; report the request_id to those who run it"

_BY_STATUS = {
    404: ("not_found", "there is nothing at this path; see the API's documentation for those that exist"),
    405: ("method_not_allowed", "this path has no such method; the header Allow names those it has"),
}
