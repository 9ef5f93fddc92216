"""The paths of the page: itself, its files, its figures and list, and what happens live."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from serving import feedback_answers
from serving.access import presented
from serving.api_keys import READ, WRITE
from serving.feedback_routes import Id, KeeperDep, found
from serving.feedback_shapes import Time
from serving.headers import header
from serving.page.board import Board
from serving.page.overview import SOON, SPANS, overview
from serving.page.sessions import session_of
from serving.page.wording import COOKIE, label_words, language_of, queue_words, words
from serving.problems import RequestProblem
from serving.routes import EngineDep
from serving.store import cursor, desk_queue, redaction, statuses
from serving.store.desk_queue import State
from serving.store.figures import Slice

router = APIRouter(prefix="/dashboard", include_in_schema=False)

WATCHING = 200
"""Pages that one worker tells of changes."""

_BEAT = 15  # seconds between two signs of life, which proxies want to see
_YEAR = 365 * 86_400
_ABOUT = r"^(alert|issue):.{1,200}$"

_Name = Annotated[str | None, Query(max_length=200)]


async def board_of(request: Request) -> Board:
    """The application's page."""
    board: Board = request.app.state.board
    return board


BoardDep = Annotated[Board, Depends(board_of)]


async def slice_of(
    *,
    engine: EngineDep,
    queue: _Name = None,
    category: _Name = None,
    urgency: _Name = None,
    channel: _Name = None,
    written_from: Annotated[Time, Query()] = None,
    written_before: Annotated[Time, Query()] = None,
) -> Slice:
    """Which comments are asked for. Raises RequestProblem `nul_character`."""
    if any(value and "\0" in value for value in (queue, category, urgency, channel)):
        raise RequestProblem("nul_character", "expected text; found a NUL character (U+0000); remove it")
    return Slice(
        queue=queue or None,
        category=category or None,
        urgency=urgency or None,
        channel=redaction.redacted_metadata(channel) if channel else None,
        begin=None if written_from is None else engine.policy.utc(written_from),
        end=None if written_before is None else engine.policy.utc(written_before),
    )


SliceDep = Annotated[Slice, Depends(slice_of)]


@router.get("")
async def page(
    request: Request, board: BoardDep, engine: EngineDep, lang: Annotated[str | None, Query()] = None
) -> Response:
    """The page, in Chinese or English."""
    headers = request.scope["headers"]
    language = language_of(headers, lang)
    session = session_of(headers)
    key = getattr(request.state, "key", None)
    schema = engine.active.predictor.schema
    queues = sorted({*engine.policy.queues.values(), engine.policy.default_queue})
    data = {
        "language": language,
        "zone": _zone_name(engine.policy.timezone),
        "token": board.sessions.token(session) if session and key is not None else "",
        "name": "" if key is None else key.name,
        "writes": key is None or key.may({WRITE}),
        "labels": label_words(schema, language),
        "queues": queue_words(queues, language),
        "next": statuses.NEXT,
        "soon": SOON.total_seconds(),
        "words": dict(words(language)),
    }
    html = board.assets.render(
        "dashboard.html",
        w=words(language),
        language=language,
        data=data,
        spans=list(SPANS),
        states=State.__args__,  # type: ignore[attr-defined]
        signed_in=key is not None and bool(session),
    )
    return with_language(HTMLResponse(html), lang)


@router.get("/static/{version}/{name}")
async def static(
    request: Request, board: BoardDep, version: Annotated[str, Path()], name: Annotated[str, Path()]
) -> Response:
    """A file of the page; the version is that of all of them, so that no two of different ones meet."""
    file = board.assets.files.get(name)
    if file is None or version != board.assets.version:
        raise RequestProblem("not_found", "there is no such file; reload the page")
    headers = {"Content-Type": file.media_type, "Vary": "Accept-Encoding"}
    if file.packed and "gzip" in header(request.scope["headers"], b"accept-encoding"):
        return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, headers=headers)


@router.get("/figures")
async def get_figures(
    *,
    board: BoardDep,
    keeper: KeeperDep,
    engine: EngineDep,
    part: SliceDep,
    span: Annotated[Literal["24h", "7d", "30d", "90d"], Query()] = "30d",
    mark: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Tiles, desks and counts over time. `mark` is that of the last change that the page heard of."""
    schema, zone = engine.active.predictor.schema, engine.policy.timezone

    def count(connection: Any) -> bytes:
        return feedback_answers.dumps(
            overview(
                connection,
                part,
                span=SPANS[span],
                schema=schema,
                zone=zone,
                now=datetime.now(UTC),
                insights=board.insights,
            )
        )

    body = await board.figures.get((part, span, mark, schema.digest), lambda: keeper.threads.read(count))
    return Response(body, media_type="application/json")


@router.get("/queue")
async def get_queue(
    *,
    keeper: KeeperDep,
    board: BoardDep,
    part: SliceDep,
    state: Annotated[State, Query()] = "open",
    about: Annotated[str | None, Query(pattern=_ABOUT, description="alert:ID or issue:ID")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor_: Annotated[str | None, Query(alias="cursor", max_length=1000)] = None,
) -> Response:
    """Comments as desks work them off. Times of the slice hold for every state."""
    after = None if cursor_ is None else cursor.decode(cursor_)

    def read(connection: Any) -> bytes:
        now = datetime.now(UTC)
        among = None
        if about is not None:
            kind, _, identity = about.partition(":")
            among = [] if board.insights is None else board.insights.members(connection, kind, identity)
        rows = desk_queue.page(
            connection, part, state=state, now=now, soon=SOON, after=after, limit=limit + 1, among=among
        )
        shown = rows[:limit]
        behind = cursor.encode(*desk_queue.place_of(shown[-1], state)) if len(rows) > limit else None
        return feedback_answers.dumps({"items": [_row(row) for row in shown], "next": behind, "now": now.isoformat()})

    return Response(await keeper.threads.read(read), media_type="application/json")


@router.get("/events")
async def get_events(request: Request, board: BoardDep) -> Response:
    """Server-sent events: `change` with what has happened, `ended` where the session has."""
    if board.feed.listeners >= WATCHING:
        raise RequestProblem("overloaded", "expected fewer pages that watch this worker; close some")
    return StreamingResponse(_stream(request, board), media_type="text/event-stream")


@router.get("/feedback/{id}/evidence")
async def get_evidence(id: Id, board: BoardDep, keeper: KeeperDep, engine: EngineDep) -> Response:  # noqa: A002
    """Spans of the masked text that speak for its labels, by the model that answers now."""
    text = await keeper.threads.read(lambda connection: found(connection, id).text)
    predictor = engine.active.predictor
    spans = await board.evidence.of(predictor, id, text)
    return Response(
        orjson.dumps({"model_version": predictor.model_version, "items": spans}), media_type="application/json"
    )


async def _stream(request: Request, board: Board) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    silent = 0
    async with aclosing(board.feed.listen()) as feed:
        async for changes in feed:
            if not await _may_still_read(request, board):
                yield b"event: ended\ndata: {}\n\n"
                return
            if changes is not None:
                yield b"event: change\ndata: " + orjson.dumps(changes.to_dict()) + b"\n\n"
                silent = 0
                continue
            silent += 1
            if silent % _BEAT == 0:
                yield b": still here\n\n"


async def _may_still_read(request: Request, board: Board) -> bool:
    """A stream lives for hours, and keys are revoked meanwhile."""
    ring, headers = request.app.state.ring, request.scope["headers"]
    if not ring.asked:
        return True
    shown = presented(headers)
    key = await ring.find(shown) if shown else await board.sessions.find(session_of(headers))
    return key is not None and key.may({READ})


def _row(row: Any) -> dict[str, Any]:
    body = dict(row._mapping)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in body.items()}


def with_language(response: Response, chosen: str | None) -> Response:
    """The response, with the language that was chosen for the next time too."""
    if chosen is not None:
        language = language_of([], chosen)
        response.set_cookie(COOKIE, language, max_age=_YEAR, path="/dashboard", samesite="strict", httponly=True)
    return response


def _zone_name(zone: Any) -> str:
    """What JavaScript knows the policy's zone by: a name such as Asia/Shanghai, or an offset such as +08:00."""
    offset = datetime(2000, 1, 1, tzinfo=zone).isoformat()[-6:]
    return str(getattr(zone, "key", None) or offset)
