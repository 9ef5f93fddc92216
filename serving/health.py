"""Whether the server lives, whether it can answer, and its figures."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.metrics import CONTENT_TYPE
from serving.openapi import METRICS_PAGE, guarded, problems
from serving.problems import RequestProblem
from serving.routes import EngineDep
from serving.shapes import HealthAnswer

router = APIRouter()


@router.get("/health/live", summary="The event loop answers", responses=problems())
async def live(engine: EngineDep) -> HealthAnswer:
    """Says nothing of the model: a server that only waits for its model must not be restarted."""
    return HealthAnswer(status="live", model_version=engine.active.version)


@router.get("/health/ready", summary="The model answers, and the store can be written", responses=problems(503))
async def ready(request: Request, engine: EngineDep) -> HealthAnswer:
    """A forward pass succeeded within the last seconds, or one is under way; one is made where neither is so.

    Where the server has a store, that can be written too.
    """
    if not await engine.ready():
        raise RequestProblem("not_ready", "the model did not answer the probe; send requests elsewhere until it does")
    if request.app.state.keeper is not None:
        await request.app.state.keeper.check()
    return HealthAnswer(status="ready", model_version=engine.active.version)


@router.get("/metrics", summary="Figures for Prometheus", responses={**METRICS_PAGE, **guarded()})
async def metrics(engine: EngineDep) -> Response:
    """Counts and durations by model version, path and status."""
    return Response(await asyncio.to_thread(engine.metrics.page), headers={"Content-Type": CONTENT_TYPE})
