"""Logs: one JSON object a line on standard error. No text of a comment is ever handed to them."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

import orjson

from serving.settings import ServeSettings

_LOGGER = logging.getLogger("fankui.serving")


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
        try:
            line = orjson.dumps(body, default=str).decode()
        except TypeError:  # a lone surrogate, or an integer that orjson finds too long
            line = ""
        # Nearly every line is ASCII by itself, and orjson takes a tenth of the time.
        return line if line and line.isascii() else json.dumps(body, ensure_ascii=True, default=str)


def tell_start(settings: ServeSettings, *, model_version: str, origin: str, api_keys: bool) -> None:
    """The first line: where the server listens and what answers. Before it a warning where others need no key."""
    if not settings.loopback and not api_keys:
        _LOGGER.warning("open_to_others", extra={"fields": {"host": settings.host, "api_keys": False}})
    fields = {
        "url": f"http://{settings.host}:{settings.port}",
        "model_version": model_version,
        "origin": origin,
        "workers": settings.workers,
        "api_keys": api_keys,
        "store": _kind(settings.store),
    }
    _LOGGER.info("starting", extra={"fields": fields})


def _kind(store: str | None) -> str | None:
    """Which database, without where it is or with what password."""
    return None if store is None else "postgresql" if store.startswith("postgres") else "sqlite"


def logging_config() -> dict[str, Any]:
    """For logging.config.dictConfig: everything of ours and of uvicorn through JsonLines, uvicorn's access log off."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "serving.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {
            "fankui": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            # Of the exporter, whose collector may be away.
            "opentelemetry": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }
