"""The paths under /v1: classify, labels, models."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from serving.active_model import ActiveModel
from serving.classify import classify as answer_classify
from serving.engine import Engine
from serving.openapi import CLASSIFY_BODY, guarded
from serving.shapes import (
    ClassifyAnswer,
    LabelAnswer,
    LabelsAnswer,
    LabelTask,
    ModelAnswer,
    ModelsAnswer,
    TaskAgreement,
)

router = APIRouter(prefix="/v1")


async def engine_of(request: Request) -> Engine:
    """The application's engine."""
    engine: Engine = request.app.state.engine
    return engine


EngineDep = Annotated[Engine, Depends(engine_of)]


@router.post(
    "/classify",
    summary="Classify one comment or a batch",
    responses={200: {"model": ClassifyAnswer}, **guarded(404, 415, 422, 503, 504)},
    openapi_extra=CLASSIFY_BODY,
)
async def classify(request: Request) -> Response:
    """One item, or `{"items": [...]}`. In a batch a bad item gets an error in its place; alone it is a 4xx.

    Refused wherever they stand: a key twice in one object, NaN, Infinity, numbers out of range, lone surrogates.
    """
    return await answer_classify(request.scope, request.receive)


@router.get("/labels", summary="The label schema", responses=guarded())
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


@router.get("/models", summary="The models that are loaded", responses=guarded())
async def models(engine: EngineDep) -> ModelsAnswer:
    """The one in service first, then those that requests may name, then the one in shadow and how often it agrees."""
    found = [_described(engine.active, "in_service"), *(_described(model, "pinned") for model in engine.pinned)]
    challenger = None if engine.shadow is None else engine.shadow.challenger
    if challenger is not None:
        counts = await asyncio.to_thread(
            engine.metrics.agreement, champion=engine.active.version, challenger=challenger.version
        )
        agreement = [
            TaskAgreement(task=task, agreed=agreed, compared=compared) for task, (agreed, compared) in counts.items()
        ]
        found.append(_described(challenger, "shadow").model_copy(update={"agreement": agreement}))
    return ModelsAnswer(models=found)


def _described(model: ActiveModel, role: str) -> ModelAnswer:
    schema = model.predictor.schema
    return ModelAnswer(
        role=role,
        model_version=model.version,
        name=model.name,
        kind=model.kind,
        origin=model.resolved.origin,
        digest=model.digest,
        schema_name=schema.name,
        schema_version=schema.version,
        tasks=[task.name for task in schema.tasks],
        loaded_at=model.loaded_at.isoformat(timespec="seconds"),
        agreement=None,
    )
