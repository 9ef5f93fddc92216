"""One line of JSON a record, whatever is in it."""

import json
import logging
import sys

from serving.logs import JsonLines


def line(message: str, **extra: object) -> str:
    record = logging.LogRecord("fankui.serving", logging.INFO, "x.py", 1, message, None, None)
    record.__dict__.update(extra)
    return JsonLines().format(record)


def test_fields_stand_beside_the_event() -> None:
    found = json.loads(line("request", fields={"status": 200, "ms": 1.5}))
    assert {key: found[key] for key in ("level", "event", "status", "ms")} == {
        "level": "info",
        "event": "request",
        "status": 200,
        "ms": 1.5,
    }


def test_control_characters_and_bidi_marks_come_out_escaped() -> None:
    told = line("a\r\nb\x1b[31m\u202e\ud800")
    assert told.isascii()
    assert "\n" not in told
    assert json.loads(told)["event"] == "a\r\nb\x1b[31m\u202e\ud800"


def test_an_exception_leaves_its_type_and_not_its_message() -> None:
    try:
        raise ValueError("13800138000")
    except ValueError:
        told = line("failed", exc_info=sys.exc_info())
    assert json.loads(told)["error"] == "ValueError"
    assert "13800138000" not in told
