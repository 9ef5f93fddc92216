"""Logs: one JSON object a line on standard error. No text of a comment is ever handed to them."""

import json
import logging
from datetime import UTC, datetime
from typing import Any


class JsonLines(logging.Formatter):
    """A record as one line of ASCII JSON; `extra={"fields": {…}}` adds to it. Control characters come out escaped."""

    def format(self, record: logging.LogRecord) -> str:
        body: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        body.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            # The type alone: messages and frames of libraries may hold the input.
            body["error"] = record.exc_info[0].__name__
        return json.dumps(body, ensure_ascii=True, default=str)


def logging_config() -> dict[str, Any]:
    """For logging.config.dictConfig: everything of ours and of uvicorn through JsonLines, uvicorn's access log off."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "serving.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {
            "fankui": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }
