"""What schema, routing policy and danger lexicon have in common: a file that is read, and keys that are refused."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, FeedbackError


def read_config_file(
    path: Path,
    *,
    name: str,
    code: str,
    advice: str,
    error: type[FeedbackError] = ConfigError,
    parse: Callable[[str], Any] = tomllib.loads,
) -> Any:
    """The plain content of a file. Raises `error` with `CODE_missing` (and the advice) or `CODE_unreadable`."""
    try:
        return parse(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise error(f"{code}_missing", f"{name} file {path} does not exist; {advice}") from None
    except OSError as found:
        why = found.strerror or type(found).__name__
        raise error(f"{code}_unreadable", f"{name} file {path} cannot be read: {why}") from None
    except (ValueError, RecursionError) as found:
        raise error(f"{code}_unreadable", f"{name} file {path} is not valid: {found}") from None


def unknown_key(body: Mapping[str, Any], allowed: set[str], where: str) -> str | None:
    """What is wrong where a table has a key that nothing reads, or None."""
    unknown = sorted(set(body) - allowed)
    return f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(allowed))}" if unknown else None
