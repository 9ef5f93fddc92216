"""What a customer wrote, unmasked: present where it was kept (--keep-raw), for keys with the scope admin alone."""

import logging
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from serving.api_keys import ADMIN
from serving.feedback_routes import Id, KeeperDep, found
from serving.feedback_shapes import OriginalAnswer
from serving.openapi import guarded
from serving.parameters import known_parameters
from serving.problems import RequestProblem
from serving.sealing import sealed_off
from serving.store import records

router = APIRouter(prefix="/v1", dependencies=[Depends(known_parameters)])

_LOGGER = logging.getLogger("fankui.serving")


@router.get(
    "/feedback/{id}/original",
    summary="One comment as the customer wrote it",
    responses={200: {"model": OriginalAnswer}, **guarded(404, 410, 422, 503)},
)
async def get_original(id: Id, request: Request, keeper: KeeperDep) -> Response:  # noqa: A002
    """Unmasked, where it was kept. Who reads it is logged. Needs an admin key wherever the server listens."""
    key = getattr(request.state, "key", None)
    if key is None or not key.may({ADMIN}):  # on the loopback nobody may have been asked
        raise RequestProblem("scope_missing", "expected an API key with the scope admin, here on the loopback too")

    def read(connection: Any) -> bytes | None:
        found(connection, id)
        return records.original(connection, id)

    sealed = await keeper.threads.read(read)
    if sealed is None:
        raise RequestProblem("original_unknown", "the original of this comment was not kept; see --keep-raw")
    if keeper.seal is None:
        raise sealed_off()
    plain = keeper.seal.open(sealed, bound_to=id)
    fields = {"request_id": request.state.request_id, "key": key.id, "feedback_id": id}
    _LOGGER.info("original_read", extra={"fields": fields})
    return Response(b'{"id":' + orjson.dumps(id) + b"," + plain[1:], media_type="application/json")
