"""Paths that look at webhooks and send again; admin scope. Adding and removing is the command line's alone: whoever can
name a URL here could make the server call it.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from pipeline.errors import UsageError
from serving import feedback_answers
from serving.feedback_bodies import read_document, read_model
from serving.feedback_routes import KeeperDep
from serving.intake import check_media_type
from serving.openapi import body_of, guarded
from serving.parameters import known_parameters
from serving.problems import RequestProblem
from serving.routes import EngineDep
from serving.store import endpoint_table, replaying
from serving.webhooks.endpoints import find_endpoint
from serving.webhooks.shapes import DeadLetters, ReplayAnswer, ReplayBody, WebhooksAnswer
from serving.webhooks.views import Wanted, endpoint_dict, letter_dict, replay_all

router = APIRouter(prefix="/v1", dependencies=[Depends(known_parameters)])


@router.get("/webhooks", summary="List webhooks", responses={200: {"model": WebhooksAnswer}, **guarded(503)})
async def list_webhooks(keeper: KeeperDep) -> Response:
    """With how many messages wait, were delivered, or were given up. Secrets are shown nowhere."""

    def read(connection: Any) -> list[dict[str, Any]]:
        counts, now = replaying.counts(connection), datetime.now(UTC)
        return [endpoint_dict(endpoint, counts, now=now) for endpoint in endpoint_table.load(connection)]

    return _json({"webhooks": await keeper.threads.read(read)})


@router.get(
    "/webhooks/dead", summary="List dead letters", responses={200: {"model": DeadLetters}, **guarded(404, 422, 503)}
)
async def list_dead_letters(
    keeper: KeeperDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    webhook: Annotated[str | None, Query(max_length=200, description="Name or id.")] = None,
) -> Response:
    """Messages that were given up after the last attempt, or answered with 410 Gone; the latest first."""

    def read(connection: Any) -> list[dict[str, Any]]:
        chosen = None if webhook is None else find_endpoint(endpoint_table.load(connection), webhook).id
        rows = replaying.dead_letters(connection, limit=limit, endpoint_id=chosen)
        return [letter_dict(row) for row in rows]

    try:
        return _json({"items": await keeper.threads.read(read)})
    except UsageError:
        raise _unknown() from None


@router.post(
    "/webhooks/replay",
    summary="Send again",
    status_code=202,
    responses={202: {"model": ReplayAnswer}, **guarded(404, 415, 422, 503)},
    openapi_extra=body_of("ReplayBody"),
)
async def post_replay(request: Request, keeper: KeeperDep, engine: EngineDep) -> Response:
    """Dead letters, chosen events, or all since a time. Messages keep their ids, so that receivers see repeats."""
    check_media_type(request.scope["headers"])
    body = read_model(await read_document(await request.body()), ReplayBody)
    since = None if body.since is None else engine.policy.utc(body.since)
    wanted = Wanted(events=tuple(body.events), since=since, dead=bool(body.dead), webhook=body.webhook)
    try:
        count = await keeper.threads.call(
            lambda: replay_all(keeper.threads.database.write, wanted, now=datetime.now(UTC))
        )
    except UsageError:
        raise _unknown() from None
    return _json({"messages": count}, status=202)


def _unknown() -> RequestProblem:
    return RequestProblem("webhook_unknown", "there is no webhook with this name or id; GET /v1/webhooks lists them")


def _json(body: Any, *, status: int = 200) -> Response:
    return Response(feedback_answers.dumps(body), status_code=status, media_type="application/json")
