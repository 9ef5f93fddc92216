"""API keys in a file."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from serving.api_keys import new_key
from serving.key_file import KeyFile

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


def test_keys_are_put_and_replaced(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json", must_exist=False)
    assert file.load() == []
    (first, shown), (second, _) = (new_key(name, ["score"], now=NOW) for name in "ab")
    file.put(first)
    file.put(second)
    file.put(replace(first, revoked_at=NOW))
    assert KeyFile(file.path).load() == [second, replace(first, revoked_at=NOW)]
    assert shown not in file.path.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
    file.used({first.id: NOW})
    assert KeyFile(file.path).load()[0].last_used_at is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "there is no such file; make it with `fankui keys create`"),
        (b"{", "it is not JSON in UTF-8"),
        (b"\xff", "it is not JSON in UTF-8"),
        (b"[" * 100_000, "it is not JSON in UTF-8"),
        (b"[]", 'expected an object with "keys", a list'),
        (b'{"keys": {}}', 'expected an object with "keys", a list'),
        (b'{"keys": [{}]}', "expected API keys as `fankui keys create` writes them; found something else"),
        (b'{"keys": [7]}', "expected API keys as `fankui keys create` writes them; found something else"),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, content: bytes | None, what: str) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        KeyFile(path).load()
    assert (refused.value.code, refused.value.message) == ("keys_invalid", f"--keys-file {path}: {what}")
