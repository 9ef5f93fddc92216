"""The words of the page in Chinese and English (words.toml), and which of the two somebody reads."""

from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from pipeline.bilingual import LANGUAGES, shipped_words
from pipeline.schema import LabelSchema
from serving.headers import header

COOKIE = "fankui_language"


def words(language: str) -> Mapping[str, str]:
    """Name -> text."""
    return shipped_words(language, "serving", "page", "words.toml")


def language_of(headers: Iterable[tuple[bytes, bytes]], wanted: str | None = None) -> str:
    """What was asked for, else what was chosen before, else what the browser prefers of the two; Chinese otherwise."""
    pairs = list(headers)
    if wanted in LANGUAGES:
        return wanted
    try:
        chosen = SimpleCookie(header(pairs, b"cookie")).get(COOKIE)
    except CookieError:
        chosen = None
    if chosen is not None and chosen.value in LANGUAGES:
        return chosen.value
    return _preferred(header(pairs, b"accept-language"))


def _preferred(told: str) -> str:
    weights: dict[str, float] = {}
    for entry in told.split(","):
        tag, _, quality = entry.strip().partition(";q=")
        language = tag.strip().lower().partition("-")[0]
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if language in LANGUAGES:
            weights[language] = max(weight, weights.get(language, 0.0))
    return "en" if weights.get("en", 0.0) > weights.get("zh", 0.0) else "zh"


def label_words(schema: LabelSchema, language: str) -> dict[str, list[dict[str, Any]]]:
    """Task -> its labels in order: key, name, whether it alerts."""
    return {
        task.name: [
            {"key": label.key, "name": label.zh if language == "zh" else _title(label.key), "alert": label.alert}
            for label in task.labels
        ]
        for task in schema.tasks
    }


def queue_words(queues: Iterable[str], language: str) -> dict[str, str]:
    """Queue -> its name: the shipped ones are translated, those of the operator's own are as they are."""
    known = words(language)
    return {queue: known.get(f"queue.{queue}", queue) for queue in queues}


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()
