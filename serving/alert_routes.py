"""GET /v1/alerts: rules that fired over the stored feedback (serving/insights)."""

import re
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator
from starlette.responses import Response

from serving import feedback_answers
from serving.alert_shapes import AlertsAnswer
from serving.feedback_routes import KeeperDep
from serving.openapi import guarded
from serving.parameters import known_parameters
from serving.store import insights

router = APIRouter(prefix="/v1", dependencies=[Depends(known_parameters)])


def _day_alone(value: Any) -> Any:
    """As OpenAPI says: pydantic takes seconds since 1970 for a day too."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("expected a day such as 2026-09-30")
    return value


@router.get("/alerts", summary="List alerts", responses={200: {"model": AlertsAnswer}, **guarded(422, 503)})
async def list_alerts(
    keeper: KeeperDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    since: Annotated[
        date | None, BeforeValidator(_day_alone), Query(description="First day, such as 2026-09-30.")
    ] = None,
) -> Response:
    """The latest first, each with what stands out about its comments against the rest; no text."""

    def read(connection: Any) -> dict[str, Any]:
        rows = insights.list_alerts(connection, limit=limit, since=None if since is None else str(since))
        looked = insights.last_findings(connection)
        return {
            "items": [alert_dict(row) for row in rows],
            "looked_at": None if looked is None else looked.made_at.isoformat(),
        }

    return Response(feedback_answers.dumps(await keeper.threads.read(read)), media_type="application/json")


def alert_dict(row: Any) -> dict[str, Any]:
    """An alert as JSON has it."""
    names = ("id", "rule", "day", "value", "expected", "messages", "signs", "causes", "feedback_ids")
    return {name: getattr(row, name) for name in names} | {"fired_at": row.fired_at.isoformat()}
