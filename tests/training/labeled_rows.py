"""Labelled files of a few rows."""

import json
from pathlib import Path


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """One JSON line a row."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
