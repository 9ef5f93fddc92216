"""The paths under /v1: classify, labels, models."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from serving.body_limit import ClientLeft
from serving.engine import Engine
from serving.intake import Intake, check_media_type, read_request
from serving.openapi import CLASSIFY_BODY, problems
from serving.shapes import (
    ClassifyAnswer,
    LabelAnswer,
    LabelsAnswer,
    LabelTask,
    ModelAnswer,
    ModelsAnswer,
)

router = APIRouter(prefix="/v1")

T = TypeVar("T")

_LARGE = 64 << 10  # bytes; parsing more than that takes over a millisecond, which the event loop is spared


async def engine_of(request: Request) -> Engine:
    """The application's engine."""
    engine: Engine = request.app.state.engine
    return engine


EngineDep = Annotated[Engine, Depends(engine_of)]


@router.post(
    "/classify",
    summary="Classify one comment or a batch",
    responses={200: {"model": ClassifyAnswer}, **problems(415, 422, 429, 503, 504)},
    openapi_extra=CLASSIFY_BODY,
)
async def classify(request: Request, engine: EngineDep) -> Response:
    """One item, or `{"items": [...]}`. In a batch a bad item gets an error in its place; alone it is a 4xx.

    Refused wherever they stand: a key twice in one object, NaN, Infinity, numbers out of range, lone surrogates.
    """
    check_media_type(request.headers)
    intake = await _read(await request.body(), engine.settings.max_items)
    active = engine.active
    scored = await _while_connected(request, engine.classify(intake.items, active))
    request.state.log = {"count": len(intake.items), "errors": len(scored.errors), "model_version": active.version}
    if intake.alone and scored.errors:
        raise scored.errors[0]
    return _json(
        {
            "results": scored.results,
            "model_version": active.version,
            "schema_version": active.predictor.schema.version,
        }
    )


@router.get("/labels", summary="The label schema", responses=problems())
async def labels(engine: EngineDep) -> LabelsAnswer:
    """Every task and label of the model that answers, in order, with 中文 names and definitions."""
    schema = engine.active.predictor.schema
    return LabelsAnswer(
        name=schema.name,
        schema_version=schema.version,
        digest=schema.digest,
        tasks=[
            LabelTask(
                name=task.name,
                kind=task.kind.value,
                zh=task.zh,
                definition=task.definition,
                labels=[
                    LabelAnswer(
                        key=label.key,
                        zh=label.zh,
                        definition=label.definition,
                        examples=list(label.examples),
                        respond_within=label.respond_within,
                        alert=label.alert,
                        satisfaction=label.satisfaction,
                    )
                    for label in task.labels
                ],
            )
            for task in schema.tasks
        ],
    )


@router.get("/models", summary="The model that answers", responses=problems())
async def models(engine: EngineDep) -> ModelsAnswer:
    """Its version, how it was chosen, and since when it answers."""
    active = engine.active
    schema = active.predictor.schema
    answer = ModelAnswer(
        model_version=active.version,
        name=active.name,
        kind=active.kind,
        origin=active.resolved.origin,
        digest=active.digest,
        schema_name=schema.name,
        schema_version=schema.version,
        tasks=[task.name for task in schema.tasks],
        loaded_at=active.loaded_at.isoformat(timespec="seconds"),
    )
    return ModelsAnswer(models=[answer])


async def _while_connected(request: Request, answering: Coroutine[Any, Any, T]) -> T:
    """The answer, or ClientLeft as soon as nobody waits for it: work that is still queued is dropped then."""
    answer = asyncio.ensure_future(answering)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((answer, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientLeft
        return answer.result()
    finally:
        answer.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _read(body: bytes, max_items: int) -> Intake:
    if len(body) <= _LARGE:
        return read_request(body, max_items=max_items)
    return await asyncio.to_thread(read_request, body, max_items=max_items)


def _json(body: object) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
