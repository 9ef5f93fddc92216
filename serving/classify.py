"""POST /v1/classify, answered before the framework sees it.

FastAPI documents the path and would route to it; its router, dependencies and exit stacks cost 0.1 ms a request, as
much as everything that is done here.
"""

import asyncio

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import FeedbackError
from serving.engine import Engine
from serving.headers import MODEL_VERSION, header
from serving.intake import Intake, check_media_type, read_request
from serving.problems import error_response

PATH = "/v1/classify"

_LARGE = 64 << 10  # bytes; parsing more than that takes over a millisecond, which the event loop is spared


class ClassifyFirst:
    """Wraps an application: answers POST /v1/classify itself and hands everything else on."""

    path = PATH  # as a route has it

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        scope["route"] = self
        try:
            response = await classify(scope, receive)
        except FeedbackError as error:
            response = error_response(error, request_id=scope["state"]["request_id"])
        await response(scope, receive, send)


async def classify(scope: Scope, receive: Receive) -> Response:
    """The answer to a request whose whole body comes in one message. Raises FeedbackError, ClientLeft."""
    engine: Engine = scope["app"].state.engine
    check_media_type(scope["headers"])
    active = engine.chosen(header(scope["headers"], MODEL_VERSION))
    body = (await receive())["body"]
    if len(body) > _LARGE:
        # A batch that finds no places is told so before it is read: parsing 256 comments takes longer than refusing.
        engine.places.check(min(body.count(b'"text"'), engine.settings.max_items))
    intake = await _read(body, engine.settings.max_items)
    scored = await engine.classify(intake.items, active, receive=receive)
    scope["state"]["log"] = {
        "count": len(intake.items),
        "errors": len(scored.errors),
        "model_version": active.version,
    }
    if intake.alone and scored.errors:
        raise scored.errors[0]
    answer = {
        "results": scored.results,
        "model_version": active.version,
        "schema_version": active.predictor.schema.version,
    }
    return Response(orjson.dumps(answer), media_type="application/json")


async def _read(body: bytes, max_items: int) -> Intake:
    if len(body) <= _LARGE:
        return read_request(body, max_items=max_items)
    return await asyncio.to_thread(read_request, body, max_items=max_items)
