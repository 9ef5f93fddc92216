"""The paths under /v1/feedback, and /v1/export: present where the server has a store."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from serving import feedback_answers
from serving.feedback_bodies import digest_of, read_document, read_feedback, read_key, read_label, read_model
from serving.feedback_shapes import (
    ID_PATTERN,
    CallBody,
    CorrectionAnswer,
    CorrectionBody,
    FeedbackAnswer,
    FeedbackList,
    StatusBody,
    StatusName,
    StoredAnswer,
    Time,
    ZoneName,
)
from serving.file_answers import FileFormat, file_answer
from serving.headers import MODEL_VERSION, header
from serving.intake import check_media_type
from serving.keeping import Keeper
from serving.openapi import EXPORT_FILE, IDEMPOTENCY_KEY, MODEL_CHOICE, STORED_HEADERS, body_of, guarded
from serving.parameters import known_parameters
from serving.problems import RequestProblem
from serving.recording import Answer, Post, feedback_erased
from serving.rerouting import route_again
from serving.routes import EngineDep
from serving.store import calls, corrections, cursor, records, redaction, statuses
from serving.store.corrections import Correction
from serving.store.export import export
from serving.store.ids import location_of
from serving.store.records import Filters

router = APIRouter(prefix="/v1", dependencies=[Depends(known_parameters)])

ANONYMOUS = "anonymous"

_STATUSES = (404, 410, 422, 503)
_CHANGES = (404, 409, 410, 415, 422, 503)


async def keeper_of(request: Request) -> Keeper:
    """The application's store."""
    keeper: Keeper = request.app.state.keeper
    return keeper


Id = Annotated[str, Path(pattern=ID_PATTERN)]
KeeperDep = Annotated[Keeper, Depends(keeper_of)]


async def filters_of(
    *,
    keeper: KeeperDep,
    engine: EngineDep,
    status: Annotated[StatusName | None, Query()] = None,
    queue: Annotated[str | None, Query(max_length=200)] = None,
    zone: Annotated[ZoneName | None, Query()] = None,
    priority: Annotated[int | None, Query(ge=1, le=100, description="1 is the most pressing.")] = None,
    category: Annotated[str | None, Query(max_length=64, description="The label that holds.")] = None,
    urgency: Annotated[str | None, Query(max_length=64, description="The label that holds.")] = None,
    channel: Annotated[str | None, Query(max_length=64)] = None,
    customer_ref: Annotated[str | None, Query(max_length=200)] = None,
    received_from: Annotated[Time, Query(description="This moment included.")] = None,
    received_before: Annotated[Time, Query(description="This moment not included.")] = None,
    corrected: Annotated[bool, Query(description="Only what a person corrected.")] = False,
    overdue: Annotated[bool, Query(description="Only what nobody took up in time.")] = False,
    call_due: Annotated[bool, Query(description="Only those whose customer has still to be called back.")] = False,
) -> Filters:
    """Which comments are asked for. Raises RequestProblem `nul_character`."""
    if any(value and "\0" in value for value in (queue, category, urgency, channel, customer_ref)):
        raise RequestProblem("nul_character", "expected text; found a NUL character (U+0000); remove it")
    return Filters(
        status=status,
        queue=queue,
        zone=zone,
        priority=priority,
        category=category,
        urgency=urgency,
        channel=redaction.redacted_metadata(channel),
        customer_ref=redaction.pseudonym(customer_ref, keeper.recorder.secret),
        received_from=None if received_from is None else engine.policy.utc(received_from),
        received_before=None if received_before is None else engine.policy.utc(received_before),
        corrected=corrected,
        overdue=overdue,
        call_due=call_due,
    )


FiltersDep = Annotated[Filters, Depends(filters_of)]


@router.post(
    "/feedback",
    summary="Keep one comment, classified and routed",
    status_code=201,
    responses={
        201: {"model": StoredAnswer, "headers": STORED_HEADERS},
        200: {"model": StoredAnswer, "headers": STORED_HEADERS, "description": "It was there already, by its id"},
        **guarded(404, 409, 410, 415, 422, 503, 504),
    },
    openapi_extra={**body_of("FeedbackItem"), "parameters": [IDEMPOTENCY_KEY, MODEL_CHOICE]},
)
async def post_feedback(request: Request, keeper: KeeperDep, engine: EngineDep) -> Response:
    """Answered once it is committed: 201 says that it is kept.

    The same Idempotency-Key within 24 hours, or the same id, gives the first answer again and stores nothing.
    """
    check_media_type(request.scope["headers"])
    key = read_key(request.scope["headers"])
    named = header(request.scope["headers"], MODEL_VERSION)
    model = engine.chosen(named) if named else None
    document = await read_document(await request.body())
    comment = read_feedback(document)
    post = Post(comment, digest_of(document, keeper.recorder.secret), owner_of(request), key, model)
    answer = await keeper.recorder.record(post, receive=request.receive)
    engine.metrics.recorded("replayed" if answer.replayed else "stored")
    return acknowledged(answer)


def acknowledged(answer: Answer) -> Response:
    """What was stored, and that it was before where the key had been used."""
    headers = {"Location": answer.location}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.body, status_code=answer.status, headers=headers, media_type="application/json")


@router.get("/feedback", summary="List comments", responses={200: {"model": FeedbackList}, **guarded(422, 503)})
async def list_feedback(
    keeper: KeeperDep,
    filters: FiltersDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor_: Annotated[str | None, Query(alias="cursor", max_length=1000, description="`next` of a page.")] = None,
) -> Response:
    """Newest first. `next` is the cursor of the page behind; the filters have to be given again."""
    after = None if cursor_ is None else cursor.decode(cursor_)

    def page(connection: Any) -> bytes:
        rows = records.page(connection, filters, after=after, limit=limit + 1)
        shown = rows[:limit]
        behind = cursor.encode(shown[-1].received_at, shown[-1].id) if len(rows) > limit else None
        # Here and not in the event loop: long comments make megabytes.
        return feedback_answers.dumps({"items": [feedback_answers.summary(row) for row in shown], "next": behind})

    return Response(await keeper.threads.read(page), media_type="application/json")


@router.get("/feedback/{id}", summary="One comment", responses={200: {"model": FeedbackAnswer}, **guarded(*_STATUSES)})
async def get_feedback(id: Id, keeper: KeeperDep) -> Response:  # noqa: A002
    """With its corrections, and the times of its statuses."""
    return _json(await keeper.threads.read(lambda connection: _whole(connection, id)))


@router.post(
    "/feedback/{id}/corrections",
    summary="Say what a label is",
    status_code=201,
    responses={
        201: {"model": CorrectionAnswer, "headers": {"Location": STORED_HEADERS["Location"]}},
        200: {"model": CorrectionAnswer, "description": "It is kept already"},
        **guarded(404, 410, 415, 422, 503),
    },
    openapi_extra=body_of("CorrectionBody"),
)
async def post_correction(id: Id, request: Request, keeper: KeeperDep, engine: EngineDep) -> Response:  # noqa: A002
    """Who says that which label of which task is what, and why. All are kept; the latest of a task holds."""
    check_media_type(request.scope["headers"])
    body = read_model(await read_document(await request.body()), CorrectionBody)
    schema = engine.active.predictor.schema
    label = read_label(body.label, task=body.task, schema=schema)
    by, why = await _masked(keeper, body.by, body.why)
    wanted = Correction(task=body.task, label=label, by=by, why=why)

    def correct(connection: Any) -> tuple[dict[str, Any], bool]:
        row = found(connection, id, lock=True)
        now = datetime.now(UTC)
        identity, new = corrections.correct(connection, row, wanted, schema=schema, now=now)
        if new:
            route_again(connection, row, predictor=engine.active.predictor, policy=engine.policy, now=now)
        (entry,) = [entry for entry in corrections.of_feedback(connection, [id]) if entry.id == identity]
        return feedback_answers.correction(entry), new

    answer, new = await keeper.threads.write(correct)
    return _json(answer, status=201 if new else 200, headers={"Location": location_of(id)})


@router.post(
    "/feedback/{id}/status",
    summary="Move a comment on",
    responses={200: {"model": FeedbackAnswer}, **guarded(*_CHANGES)},
    openapi_extra=body_of("StatusBody"),
)
async def post_status(id: Id, request: Request, keeper: KeeperDep, engine: EngineDep) -> Response:  # noqa: A002
    """Assigned, in progress, resolved, reopened; the times of all are kept. The same one again changes nothing."""
    check_media_type(request.scope["headers"])
    body = read_model(await read_document(await request.body()), StatusBody)
    by, note = await _masked(keeper, body.by, body.note)
    assignee = None if body.assignee is None else (await _masked(keeper, body.assignee, None))[0]
    wanted = statuses.Change(status=body.status, by=by, assignee=assignee, note=note)

    def change(connection: Any) -> dict[str, Any]:
        row, now = found(connection, id, lock=True), datetime.now(UTC)
        try:
            changed = statuses.change(connection, row, wanted, now=now)
        except statuses.Refused as refused:
            allowed = ", ".join(statuses.NEXT[refused.present])
            raise RequestProblem(
                "status_refused", f"the comment is {refused.present}; from there it can become {allowed}"
            ) from None
        if changed and wanted.status == statuses.REOPENED:  # it may have been corrected while it was resolved
            again = found(connection, id)
            route_again(connection, again, predictor=engine.active.predictor, policy=engine.policy, now=now)
        return _whole(connection, id)

    return _json(await keeper.threads.write(change))


@router.post(
    "/feedback/{id}/calls",
    summary="Record a call back to the customer",
    status_code=201,
    responses={201: {"model": FeedbackAnswer}, 200: {"model": FeedbackAnswer}, **guarded(*_CHANGES)},
    openapi_extra=body_of("CallBody"),
)
async def post_call(id: Id, request: Request, keeper: KeeperDep) -> Response:  # noqa: A002
    """Of a comment that is resolved: satisfied, dissatisfied (then reopen it), or unreachable (then it stays due)."""
    check_media_type(request.scope["headers"])
    body = read_model(await read_document(await request.body()), CallBody)
    by, note = await _masked(keeper, body.by, body.note)
    call = calls.Call(outcome=body.outcome, by=by, note=note)

    def record(connection: Any) -> tuple[dict[str, Any], bool]:
        row = found(connection, id, lock=True)
        try:
            _, new = calls.record(connection, row, call, now=datetime.now(UTC))
        except calls.NotResolved as refused:
            detail = f"expected a comment that is resolved, for there is nothing to ask before; it is {refused.present}"
            raise RequestProblem("call_refused", detail) from None
        return _whole(connection, id), new

    answer, new = await keeper.threads.write(record)
    return _json(answer, status=201 if new else 200)


@router.get("/export", summary="Comments as a file", responses={**EXPORT_FILE, **guarded(422, 503)})
async def get_export(
    keeper: KeeperDep,
    engine: EngineDep,
    filters: FiltersDep,
    format: Annotated[FileFormat, Query()] = "csv",  # noqa: A002
) -> Response:
    """All that pass the filters. With `corrected=true` a labelled file to train on: people's labels and no others.

    csv keeps spreadsheets from running text as formulas; jsonl holds everything as it is.
    """
    schema = engine.active.predictor.schema
    return await file_answer(
        keeper, "feedback", format, lambda connection, path: export(connection, path, filters, schema=schema)
    )


def owner_of(request: Request) -> str:
    """Whose keys and comments these are: the API key's fingerprint, where one was checked."""
    owner: str = getattr(request.state, "key_fingerprint", ANONYMOUS)
    return owner


def found(connection: Any, id: str, *, lock: bool = False) -> Any:  # noqa: A002
    """The row of a comment that is there. Raises RequestProblem `feedback_unknown`, `feedback_erased`."""
    row = records.find(connection, id, lock=lock)
    if row is None:
        raise RequestProblem("feedback_unknown", "there is no comment with this id; GET /v1/feedback lists them")
    if row.erased_at is not None:
        raise feedback_erased()
    return row


async def _masked(keeper: Keeper, name: str, remark: str | None) -> tuple[str, str | None]:
    """Who did something and what was noted, as they may be kept."""
    return await keeper.threads.call(lambda: (redaction.redacted_name(name), redaction.redacted_note(remark)))


def _whole(connection: Any, id: str) -> dict[str, Any]:  # noqa: A002
    return feedback_answers.whole(connection, found(connection, id))


def _json(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = feedback_answers.dumps(body)
    return Response(content, status_code=status, headers=headers, media_type="application/json")
