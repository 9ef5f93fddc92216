"""data/report.toml: SERVQUAL's dimensions by aspects of the label schema, and what to look at for a kind of cause."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.config_file import read_config_file, unknown_key
from pipeline.errors import ConfigError
from pipeline.resources import shipped


@dataclass(frozen=True, slots=True)
class Named:
    """A text in both languages."""

    zh: str
    en: str

    def in_(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Dimension:
    """One of SERVQUAL (Parasuraman, Zeithaml and Berry 1988). Comments count that speak of one of its aspects.

    `words`: where there are any, only comments that hold one of them count.
    """

    key: str
    name: Named
    means: Named  # the question behind it
    aspects: tuple[str, ...]
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """`look_at`: bone of the fishbone -> what to look at; `otherwise` where no bone stands out."""

    dimensions: tuple[Dimension, ...]
    look_at: Mapping[str, Named]
    otherwise: Named


@cache
def shipped_settings() -> ReportSettings:
    """The settings that ship along."""
    return load_settings(shipped("data", "report.toml"))


def load_settings(path: Path) -> ReportSettings:
    """Raises ConfigError `report_missing`, `report_unreadable`, `report_invalid`."""
    advice = "leave --settings out to take the shipped ones"
    return settings_from_dict(read_config_file(path, name="report settings", code="report", advice=advice))


def settings_from_dict(body: Mapping[str, Any]) -> ReportSettings:
    """Raises ConfigError `report_invalid` with the place of the mistake."""
    if wrong := unknown_key(body, {"version", "servqual", "look_at"}, "report settings"):
        raise _invalid(wrong)
    look_at = {
        key: _named(value, f"[look_at] {key}") for key, value in _table(body.get("look_at", {}), "[look_at]").items()
    }
    if "otherwise" not in look_at:
        raise _invalid("[look_at] otherwise: expected a text for causes that no bone stands for; found none")
    dimensions = _table(body.get("servqual", {}), "[servqual]")
    return ReportSettings(
        dimensions=tuple(_dimension(key, value) for key, value in dimensions.items()),
        look_at={key: value for key, value in look_at.items() if key != "otherwise"},
        otherwise=look_at["otherwise"],
    )


def _dimension(key: str, body: Any) -> Dimension:
    where = f"[servqual.{key}]"
    table = _table(body, where)
    if wrong := unknown_key(table, {"name", "means", "aspects", "words"}, where):
        raise _invalid(wrong)
    aspects = _words(table.get("aspects"), f"{where} aspects")
    words = _words(table.get("words", []), f"{where} words")
    name, means = (_named(table.get(part), f"{where} {part}") for part in ("name", "means"))
    return Dimension(key, name, means, aspects, words)


def _named(value: Any, where: str) -> Named:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(one, str) and one.strip() for one in value):
        raise _invalid(f"{where}: expected a text in Chinese and in English, ['中文', 'English']; found {value!r:.80}")
    return Named(value[0].strip(), value[1].strip())


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(f"{where}: expected a table; found {value!r:.80}")
    return value


def _words(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value):
        raise _invalid(f"{where}: expected a list such as ['service']; found {value!r:.80}")
    return tuple(word.strip() for word in value)


def _invalid(message: str) -> ConfigError:
    return ConfigError("report_invalid", f"report settings: {message}")
