"""Every word of the page is there in both languages, and none too many; who reads which."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from pipeline.insights.alert_rules import load_rules
from pipeline.resources import shipped
from pipeline.routing import load_policy
from pipeline.schema import LabelSchema
from serving.feedback_shapes import OutcomeName, StatusName
from serving.page.overview import SPANS
from serving.page.wording import label_words, language_of, queue_words, words
from serving.store.desk_queue import State

FOLDER = shipped("serving", "page")
BUILT = (
    "state.",
    "queue.",
    "day.",
    "span.",
    "task.",
    "polarity.",
    "detail.zone.",
    "act.",
    "call.",
    "rule.",
    "filter.",
    "tile.",
    "chart.",
)
"""Beginnings of names that are put together."""


def sources() -> Iterator[Path]:
    yield from sorted((FOLDER / "templates").glob("*.html"))
    yield from sorted((FOLDER / "static").glob("*.js"))
    yield Path(shipped("serving", "page", "login_routes.py"))


def test_every_word_that_is_used_is_there_and_every_one_is_used() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    used = re.findall(r"""\bword\(\s*(?:on \? )?["']([\w.]+)["']|\bw\[['"]([\w.]+)['"]\]|\bw\.(\w+)""", text)
    named = {next(filter(None, groups)) for groups in used}
    known = set(words("zh"))
    assert {name for name in named if not name.endswith(".")} - known == set()
    assert {name for name in known if not name.startswith(BUILT) and name not in text} == set()


def test_what_names_are_built_from_is_complete(schema: LabelSchema) -> None:
    known = set(words("en"))
    assert {f"state.{name}" for name in (*get_args(State), *get_args(StatusName))} <= known
    assert {f"act.{name}" for name in get_args(StatusName) if name != "new"} <= known
    assert {f"task.{task.name}" for task in schema.tasks} <= known
    assert {f"span.{name}" for name in SPANS} <= known
    assert {f"call.{name}" for name in get_args(OutcomeName)} <= known
    assert {f"rule.{rule.name}" for rule in load_rules(shipped("data", "alerts.toml"))} <= known
    policy = load_policy()
    assert {f"queue.{name}" for name in (*policy.queues.values(), policy.default_queue)} <= known


def test_both_languages_fill_in_the_same() -> None:
    for name, text in words("zh").items():
        assert text.strip()
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", words("en")[name])), name


@pytest.mark.parametrize(
    ("told", "language"),
    [
        ("", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9", "en"),
        ("en;q=0.5,zh;q=0.7", "zh"),
        ("de-DE,de;q=0.9", "zh"),
        ("de,en;q=0.3", "en"),
        ("en;q=x", "zh"),
        ("*", "zh"),
    ],
)
def test_chinese_unless_somebody_prefers_english(told: str, language: str) -> None:
    assert language_of([(b"accept-language", told.encode())]) == language


def test_a_choice_goes_before_what_the_browser_prefers() -> None:
    headers = [(b"accept-language", b"en"), (b"cookie", b"fankui_language=zh")]
    assert language_of(headers) == "zh"
    assert language_of(headers, "en") == "en"
    assert language_of(headers, "fr") == "zh"


def test_labels_and_queues_have_names(schema: LabelSchema) -> None:
    assert label_words(schema, "zh")["urgency"][3] == {"key": "critical", "name": "紧急", "alert": True}
    assert label_words(schema, "en")["urgency"][3]["name"] == "Critical"
    assert queue_words(["after_sales", "我们的队列"], "zh") == {"after_sales": "售后", "我们的队列": "我们的队列"}
