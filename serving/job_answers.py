"""Jobs in the forms of serving/job_shapes.py."""

from typing import Any

from serving.feedback_answers import iso
from serving.store.jobs import ENDED

_PLAIN = ("id", "status", "total", "done", "failed", "models", "error")
_TIMES = ("created_at", "started_at", "finished_at", "expires_at", "expired_at")


def job(row: Any) -> dict[str, Any]:
    """How it stands with a job."""
    there = row.status in ENDED and row.expired_at is None
    return {
        **{name: getattr(row, name) for name in _PLAIN},
        "progress": round(row.done / row.total, 4) if row.total else 0.0,
        **{name: iso(getattr(row, name)) for name in _TIMES},
        "results": f"{location_of_job(row.id)}/results" if there else None,
    }


def location_of_job(id: str) -> str:  # noqa: A002
    """The path of a job."""
    return f"/v1/jobs/{id}"
