"""data/insights.toml: stop words, and the lexicon of the fishbone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.config_file import read_config_file, unknown_key
from pipeline.errors import ConfigError
from pipeline.resources import shipped


@dataclass(frozen=True, slots=True)
class Bone:
    """One bone of the fishbone diagram (Ishikawa): a kind of cause, and the words that tell of it."""

    key: str
    zh: str
    words: tuple[str, ...]
    aspects: tuple[str, ...] = ()  # aspects of the label schema that belong to it
    attributes: tuple[str, ...] = ()  # attributes that name it, such as staff or machine


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What insights know beside the dictionary."""

    version: str
    stop_words: frozenset[str]
    bones: tuple[Bone, ...] = ()


@cache
def shipped_lexicon() -> Lexicon:
    """The lexicon that ships along."""
    return load_lexicon(shipped("data", "insights.toml"))


def load_lexicon(path: Path) -> Lexicon:
    """Raises ConfigError `lexicon_missing`, `lexicon_unreadable`, `lexicon_invalid`."""
    advice = "leave it out to take the shipped one"
    return lexicon_from_dict(read_config_file(path, name="lexicon", code="lexicon", advice=advice))


def lexicon_from_dict(body: Mapping[str, Any]) -> Lexicon:
    """Raises ConfigError `lexicon_invalid` with the place of the mistake."""
    if wrong := unknown_key(body, {"version", "stop_words", "bones"}, "lexicon"):
        raise _invalid(wrong)
    bones = body.get("bones", {})
    if not isinstance(bones, Mapping):
        raise _invalid(f"bones: expected tables such as [bones.people]; found {type(bones).__name__}")
    return Lexicon(
        version=str(body.get("version", "")),
        stop_words=frozenset(_words(body.get("stop_words", []), "stop_words")),
        bones=tuple(_bone(key, table) for key, table in bones.items()),
    )


def _bone(key: str, body: Any) -> Bone:
    where = f"[bones.{key}]"
    if not isinstance(body, Mapping):
        raise _invalid(f"{where}: expected a table; found {type(body).__name__}")
    if wrong := unknown_key(body, {"zh", "words", "aspects", "attributes"}, where):
        raise _invalid(wrong)
    words, aspects, attributes = (
        _words(body.get(name, []), f"{where} {name}") for name in ("words", "aspects", "attributes")
    )
    return Bone(key, str(body.get("zh", key)), words, aspects, attributes)


def _words(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value):
        raise _invalid(f"{where}: expected a list of words such as ['差', '漏水']; found {value!r:.80}")
    return tuple(word.strip() for word in value)


def _invalid(message: str) -> ConfigError:
    return ConfigError("lexicon_invalid", f"lexicon: {message}")
