"""A file that is made for one answer: written in a thread of the store, sent, and deleted."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from pipeline.errors import DataError
from serving.keeping import Keeper
from serving.problems import RequestProblem

FileFormat = Literal["csv", "jsonl", "parquet"]

_MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl", "parquet": "application/octet-stream"}


async def file_answer(keeper: Keeper, name: str, kind: FileFormat, write: Callable[[Any, Path], object]) -> Response:
    """The file that `write` makes of a connection that reads, at the path that it is given.

    Raises RequestProblem `file_failed` where there is no room for it, StoreError, and what `write` raises.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=f"fankui-{name}-")
    except OSError:
        raise _failed() from None
    path = Path(folder.name) / f"{name}.{kind}"
    database = keeper.threads.database
    try:
        await keeper.threads.call(lambda: database.read(lambda connection: write(connection, path)))
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, DataError) and error.code == "write_failed":
            raise _failed() from None
        raise
    return FileResponse(
        path, media_type=_MEDIA_TYPES[kind], filename=path.name, background=BackgroundTask(folder.cleanup)
    )


def _failed() -> RequestProblem:
    # Not which path: it is none of the client's business.
    detail = "the file cannot be written at the moment; wait as Retry-After says, or ask for less"
    return RequestProblem("file_failed", detail)
