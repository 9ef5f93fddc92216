"""Paths that erase: one comment, or all of a customer. Present where the server has a store; admin scope."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from serving import feedback_answers
from serving.feedback_bodies import read_document, read_model
from serving.feedback_routes import Id, KeeperDep, found
from serving.feedback_shapes import ErasureAnswer, ErasureBody
from serving.intake import check_media_type
from serving.openapi import body_of, guarded
from serving.parameters import known_parameters
from serving.routes import EngineDep
from serving.store import erasing, redaction

router = APIRouter(prefix="/v1", dependencies=[Depends(known_parameters)])


@router.delete("/feedback/{id}", summary="Erase one comment", status_code=204, responses=guarded(404, 410, 422, 503))
async def delete_feedback(id: Id, keeper: KeeperDep, engine: EngineDep) -> Response:  # noqa: A002
    """Text, metadata, customer and remarks are gone for good; labels, decision and times stay as figures."""

    def erase(connection: Any) -> None:
        erasing.erase(connection, found(connection, id, lock=True), now=datetime.now(UTC))

    await keeper.threads.write(erase)
    engine.metrics.recorded("erased")
    await keeper.threads.call(keeper.threads.database.overwrite_log)
    return Response(status_code=204)


@router.post(
    "/erasures",
    summary="Erase all comments of a customer",
    responses={200: {"model": ErasureAnswer}, **guarded(415, 422, 503)},
    openapi_extra=body_of("ErasureBody"),
)
async def post_erasure(request: Request, keeper: KeeperDep, engine: EngineDep) -> Response:
    """Likewise. Cut off in the middle it can be sent again."""
    check_media_type(request.scope["headers"])
    body = read_model(await read_document(await request.body()), ErasureBody)
    name = await keeper.threads.call(lambda: redaction.pseudonym(body.customer_ref, keeper.recorder.secret))
    total = 0
    while count := await keeper.threads.write(
        lambda connection: erasing.erase_customer(connection, str(name), now=datetime.now(UTC))
    ):
        total += count
        engine.metrics.recorded("erased", count)
    if total:
        await keeper.threads.call(keeper.threads.database.overwrite_log)
    return Response(feedback_answers.dumps({"erased": total}), media_type="application/json")
