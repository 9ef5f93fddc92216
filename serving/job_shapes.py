"""The shapes of jobs, as OpenAPI documents them."""

from typing import Annotated, Literal

from pydantic import Field

from serving.shapes import Answered, Probability

JobStatus = Literal["queued", "running", "finished", "failed", "cancelled"]
Count = Annotated[int, Field(ge=0)]


class JobAnswer(Answered):
    """How it stands with a job."""

    id: str
    status: JobStatus
    total: Count = Field(description="Rows.")
    done: Count = Field(description="Rows whose results are there.")
    failed: Count = Field(description="Of these, rows that got an error instead of labels.")
    progress: Probability = Field(description="done / total.")
    models: list[str] = Field(description="Versions that scored it: one, unless the server was started anew.")
    error: str | None = Field(description="Code of what it failed with: model_failed, workers_crashed.")
    created_at: str = Field(description="ISO 8601. Due times run from here where a comment has no time of its own.")
    started_at: str | None
    finished_at: str | None
    expires_at: str | None = Field(description="When its results are deleted (--keep-results-days).")
    expired_at: str | None = Field(description="When they were.")
    results: str | None = Field(description="Path of the results, once it has ended.")


class JobList(Answered):
    """One page, newest first."""

    items: list[JobAnswer]
    next: str | None = Field(description="Cursor of the next page; null where there is none.")
