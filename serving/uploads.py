"""Takes the body of POST /v1/jobs into a file without a name, up to a limit and a deadline of its own.

A body of 64 MiB does not belong into memory, and what customers wrote not onto a disk unmasked: the file is deleted
before anything is written to it and goes with the process, however that ends. Readers get at it through the link
`path`, which tells them the format.
"""

import asyncio
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.body_limit import ClientLeft, refuse
from serving.headers import header
from serving.problems import RequestProblem
from serving.settings import ServeSettings

PATH = "/v1/jobs"

JSON = "application/json"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SUFFIXES = {
    JSON: ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.apache.parquet": ".parquet",
    XLSX: ".xlsx",
}
"""Content-Type -> the extension that the readers of pipeline/ know it by."""

_CHARSETS = frozenset({"utf-8", "utf8", "gb18030", "gbk", "gb2312"})  # which of them it is, the readers find out
_WRITE = 1 << 20  # bytes; written in a thread, for a disk may take its time


class Upload:
    """A body in a file. To be closed, which deletes it."""

    def __init__(self, kind: str) -> None:
        """Raises OSError where there is no place for it."""
        self.kind = kind
        self.size = 0
        self._digest = hashlib.sha256()
        self._folder = tempfile.TemporaryDirectory(prefix="fankui-upload-")
        self.path = Path(self._folder.name) / f"upload{SUFFIXES[kind]}"
        self._file: Any = None
        try:
            if Path("/proc/self/fd").is_dir():
                self._file = tempfile.TemporaryFile(dir=self._folder.name, buffering=0)  # noqa: SIM115
                self.path.symlink_to(f"/proc/self/fd/{self._file.fileno()}")
            else:  # elsewhere it has a name as long as it is needed
                self._file = self.path.open("wb", buffering=0)
        except OSError:
            self.close()
            raise

    @property
    def digest(self) -> str:
        """SHA-256 of the body."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append. Raises OSError."""
        self._digest.update(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def close(self) -> None:
        """Delete it."""
        if self._file is not None:
            self._file.close()
        self._folder.cleanup()


class Uploads:
    """Wraps an application: `inner` gets POST /v1/jobs with its body in `state.upload`, `app` everything else."""

    def __init__(self, app: ASGIApp, *, inner: ASGIApp, settings: ServeSettings) -> None:
        self.app = app
        self.inner = inner
        self._settings = settings
        self._taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        if self._taken >= self._settings.max_job_uploads:
            detail = "too many uploads are under way; wait as Retry-After says, and send it again"
            await refuse(RequestProblem("overloaded", detail), scope, receive, send)
            return
        self._taken += 1
        upload: Upload | None = None
        try:
            upload = await self._read(scope, receive)
            scope["state"]["upload"] = upload
            await self.inner(scope, _emptied(receive), send)
        except RequestProblem as problem:
            await refuse(problem, scope, receive, send)
        finally:
            self._taken -= 1
            if upload is not None:
                upload.close()

    async def _read(self, scope: Scope, receive: Receive) -> Upload:
        """The whole body. Raises RequestProblem, ClientLeft."""
        declared = header(scope["headers"], b"content-length")
        if declared.isdecimal() and int(declared[:20]) > self._settings.max_job_bytes:
            raise self._too_large()
        kind = media_type(scope)
        upload: Upload | None = None
        try:
            upload = Upload(kind)
            async with asyncio.timeout(self._settings.job_read_timeout):
                await self._fill(upload, receive)
        except BaseException as error:
            if upload is not None:
                upload.close()
            if isinstance(error, TimeoutError):
                limit = self._settings.job_read_timeout
                detail = f"expected the whole body within {limit:g} s; send it faster or in several jobs"
                raise RequestProblem("request_timeout", detail) from None
            if isinstance(error, OSError):
                detail = "the server has no room for uploads at the moment; wait as Retry-After says, and send it again"
                raise RequestProblem("upload_failed", detail) from None
            raise
        return upload

    async def _fill(self, upload: Upload, receive: Receive) -> None:
        waiting: list[bytes] = []
        held = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            waiting.append(message.get("body", b""))
            held += len(waiting[-1])
            upload.size += len(waiting[-1])
            if upload.size > self._settings.max_job_bytes:
                raise self._too_large()
            last = not message.get("more_body", False)
            if last or held >= _WRITE:
                await asyncio.to_thread(upload.write, b"".join(waiting))
                waiting, held = [], 0
            if last:
                return

    def _too_large(self) -> RequestProblem:
        limit = self._settings.max_job_bytes
        return RequestProblem("body_too_large", f"expected a body of at most {limit} bytes; send several jobs")


def media_type(scope: Scope) -> str:
    """The Content-Type, one of SUFFIXES. Raises RequestProblem `media_type_unsupported`."""
    kind, *parameters = [part.strip().lower() for part in header(scope["headers"], b"content-type").split(";")]
    charsets = [part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")]
    allowed = _CHARSETS if kind != JSON else {"utf-8", "utf8"}
    if kind not in SUFFIXES or any(charset not in allowed for charset in charsets):
        raise RequestProblem("media_type_unsupported", f"expected one of these as Content-Type: {', '.join(SUFFIXES)}")
    if header(scope["headers"], b"content-encoding").strip().lower() not in ("", "identity"):
        raise RequestProblem("media_type_unsupported", "expected a body that is not compressed")
    return kind


def _emptied(receive: Receive) -> Receive:
    """Of a request whose body is read: nothing more, then what the connection says."""
    waiting: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
