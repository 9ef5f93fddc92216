"""The paths under /v1/jobs: present where the server has a store. A key sees its own jobs, an admin's key all."""

import re
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from serving.api_keys import ADMIN, ApiKey
from serving.feedback_answers import dumps
from serving.feedback_bodies import read_key
from serving.feedback_routes import KeeperDep, acknowledged, owner_of
from serving.file_answers import FileFormat, file_answer
from serving.job_answers import job
from serving.job_files import results_expired, write_results
from serving.job_shapes import JobAnswer, JobList, JobStatus
from serving.keeping import Keeper
from serving.openapi import IDEMPOTENCY_KEY, JOB_BODY, JOB_HEADERS, RESULTS_FILE, guarded
from serving.parameters import known_parameters
from serving.problems import RequestProblem
from serving.routes import EngineDep
from serving.store import cursor, jobs
from serving.store.database import StoreError
from serving.uploads import Upload

router = APIRouter(prefix="/v1", dependencies=[Depends(known_parameters)])

Id = Annotated[str, Path(max_length=200, description="As `Location` has it: 32 hexadecimal digits.")]

_ID = re.compile("[0-9a-f]{32}")


@router.post(
    "/jobs",
    summary="Score many comments in the background",
    status_code=202,
    responses={202: {"model": JobAnswer, "headers": JOB_HEADERS}, **guarded(409, 415, 422, 503)},
    openapi_extra={**JOB_BODY, "parameters": [IDEMPOTENCY_KEY]},
)
async def post_job(
    request: Request,
    keeper: KeeperDep,
    engine: EngineDep,
    text_column: Annotated[
        str, Query(max_length=200, description="Of a file, which column holds the comment.")
    ] = "text",
    sheet: Annotated[str | None, Query(max_length=200, description="Of a workbook with several, which one.")] = None,
) -> Response:
    """The body is `{"items": […]}` as at /v1/classify, or a file; Content-Type says which.

    A row that is no comment gets an error in its place. Answered once all rows are read, masked and committed.
    """
    upload: Upload = request.state.upload
    key = read_key(request.scope["headers"])
    answer = await keeper.intake.take(upload, owner=owner_of(request), key=key, text_column=text_column, sheet=sheet)
    engine.metrics.job("replayed" if answer.replayed else "queued")
    return acknowledged(answer)


@router.get("/jobs", summary="List jobs", responses={200: {"model": JobList}, **guarded(422, 503)})
async def list_jobs(
    request: Request,
    keeper: KeeperDep,
    status: Annotated[JobStatus | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor_: Annotated[str | None, Query(alias="cursor", max_length=1000, description="`next` of a page.")] = None,
) -> Response:
    """Newest first. `next` is the cursor of the page behind."""
    after = None if cursor_ is None else cursor.decode(cursor_)
    owner = _viewer(request)
    rows = await keeper.threads.read(
        lambda connection: jobs.page(connection, owner=owner, status=status, after=after, limit=limit + 1)
    )
    shown = rows[:limit]
    behind = cursor.encode(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
    return _json({"items": [job(row) for row in shown], "next": behind})


@router.get("/jobs/{id}", summary="One job", responses={200: {"model": JobAnswer}, **guarded(404, 422, 503)})
async def get_job(id: Id, request: Request, keeper: KeeperDep) -> Response:  # noqa: A002
    """How far it is."""
    owner = _viewer(request)
    return _json(job(await keeper.threads.read(lambda connection: _found(connection, id, owner))))


@router.get(
    "/jobs/{id}/results",
    summary="Results of a job",
    responses={**RESULTS_FILE, **guarded(404, 409, 410, 422, 503)},
)
async def get_results(
    id: Id,  # noqa: A002
    request: Request,
    keeper: KeeperDep,
    engine: EngineDep,
    format: Annotated[FileFormat, Query()] = "jsonl",  # noqa: A002
) -> Response:
    """Every row in their order: `row` (from 1), then as in the results of /v1/classify, a line of JSON each.

    csv and parquet have the columns that `fankui score` writes; csv keeps spreadsheets from running text as formulas.
    Of a job that failed or was cancelled, the rows that were scored.
    """
    owner = _viewer(request)
    row = await keeper.threads.read(lambda connection: _found(connection, id, owner))
    if row.status not in jobs.ENDED:
        raise RequestProblem("job_unfinished", "the job has not ended yet; wait as Retry-After says, or cancel it")
    if row.expired_at is not None:
        raise results_expired()
    if format == "jsonl":  # as it is kept
        return StreamingResponse(_lines(keeper, row), media_type="application/jsonl")
    schema = engine.active.predictor.schema
    return await file_answer(
        keeper, "results", format, lambda connection, path: write_results(connection, path, row, schema=schema)
    )


@router.post(
    "/jobs/{id}/cancel",
    summary="Stop a job",
    responses={200: {"model": JobAnswer}, **guarded(404, 409, 422, 503)},
)
async def cancel_job(id: Id, request: Request, keeper: KeeperDep, engine: EngineDep) -> Response:  # noqa: A002
    """What is scored stays until it expires, comments that are not are deleted. Once more it changes nothing."""
    owner = _viewer(request)
    keep = timedelta(days=engine.settings.keep_results_days)

    def cancel(connection: Any) -> tuple[Any, bool]:
        row = _found(connection, id, owner, lock=True)
        if row.status == jobs.CANCELLED:
            return row, False
        if row.status in jobs.ENDED:
            raise RequestProblem("job_ended", f"the job is {row.status} already; it cannot be cancelled any more")
        jobs.cancel(connection, row, now=datetime.now(UTC), keep=keep)
        return jobs.find(connection, id), True

    row, new = await keeper.threads.write(cancel)
    if new:
        engine.metrics.job(jobs.CANCELLED)
        await keeper.threads.call(keeper.threads.database.overwrite_log)
    return _json(job(row))


def _viewer(request: Request) -> str | None:
    """Whose jobs may be seen; None for all: an admin's key, or a server that asks for none."""
    key: ApiKey | None = getattr(request.state, "key", None)
    return None if key is None or key.may({ADMIN}) else key.id


def _found(connection: Any, id: str, owner: str | None, *, lock: bool = False) -> Any:  # noqa: A002
    """A job that is there for this owner. Raises RequestProblem `job_unknown`."""
    row = jobs.find(connection, id, lock=lock) if _ID.fullmatch(id) else None
    if row is None or row.status == jobs.RECEIVING or owner not in (None, row.owner):
        raise RequestProblem("job_unknown", "there is no job with this id; GET /v1/jobs lists them")
    return row


async def _lines(keeper: Keeper, row: Any) -> AsyncIterator[bytes]:
    """Chunk by chunk. Ends the connection, and not the body, where one is not there any more."""
    for number in range(row.chunks_done):
        packed = await keeper.threads.read(partial(jobs.results_of, identity=row.id, number=number))
        if packed is None:
            raise StoreError("results_gone")
        yield zlib.decompress(packed)


def _json(body: Any) -> Response:
    return Response(dumps(body), media_type="application/json")
