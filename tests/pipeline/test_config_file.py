import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config_file import read_config_file, unknown_key
from pipeline.errors import SchemaError

NAMES: dict[str, Any] = {"name": "due", "code": "hours", "advice": "give --hours FILE", "error": SchemaError}


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "hours.toml"
    path.write_text("\ufeffhigh = 4\n", encoding="utf-8")
    assert read_config_file(path, **NAMES) == {"high": 4}
    path.write_text('{"high": 4}', encoding="utf-8")
    assert read_config_file(path, parse=json.loads, **NAMES) == {"high": 4}


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, "hours_missing", "does not exist; give --hours FILE"),
        (b"high = ", "hours_unreadable", "is not valid: "),
        (b"\xff\xfe", "hours_unreadable", "is not valid: "),
    ],
)
def test_what_cannot_be_read_is_told(content: bytes | None, code: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "hours.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SchemaError) as caught:
        read_config_file(path, **NAMES)
    assert caught.value.code == code
    assert caught.value.message.startswith(f"due file {path} {message}")


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"cannot be read: Is a directory$"):
        read_config_file(tmp_path, **NAMES)


def test_the_first_unknown_key_is_told() -> None:
    assert unknown_key({"a": 1, "z": 2, "y": 3}, {"b", "a"}, "[due]") == "[due]: unknown key 'y'; known: a, b"
    assert unknown_key({"a": 1}, {"b", "a"}, "[due]") is None
