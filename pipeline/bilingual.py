"""Words in Chinese and English, out of a file that holds both side by side: `name = ["中文", "English"]`."""

import tomllib
from collections.abc import Mapping
from functools import cache

from pipeline.resources import shipped

LANGUAGES = ("zh", "en")


@cache
def shipped_words(language: str, *parts: str) -> Mapping[str, str]:
    """Name -> text in one of LANGUAGES, out of the shipped file that `parts` lead to."""
    table = tomllib.loads(shipped(*parts).read_text(encoding="utf-8"))
    place = LANGUAGES.index(language)
    return {name: texts[place] for name, texts in table.items()}
