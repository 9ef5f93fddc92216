"""API keys in a JSON file, for servers without a store. It holds digests; no key can be had from it."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text
from pipeline.errors import ConfigError
from serving.api_keys import ApiKey, key_dict, key_of


class KeyFile:
    """A file of keys. It is read again whenever the server looks, so that changes hold without a restart."""

    def __init__(self, path: Path, *, must_exist: bool = True) -> None:
        self.path = path
        self._must_exist = must_exist

    def load(self) -> list[ApiKey]:
        """All keys of the file. Raises ConfigError `keys_invalid`."""
        try:
            document: Any = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            if not self._must_exist:
                return []
            raise self._invalid("there is no such file; make it with `fankui keys create`") from None
        except OSError as error:
            raise self._invalid(f"it cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise self._invalid("it is not JSON in UTF-8") from None
        entries = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise self._invalid('expected an object with "keys", a list')
        try:
            return [key_of(entry) for entry in entries]
        except ConfigError as error:
            raise self._invalid(error.message) from None

    def put(self, key: ApiKey) -> None:
        """Add it, or replace the one with its id; the file is exchanged whole. Raises ConfigError."""
        others = [known for known in self.load() if known.id != key.id]
        body = {"keys": [key_dict(entry) for entry in (*others, key)]}
        try:
            write_text(self.path, json.dumps(body, ensure_ascii=False, indent=1) + "\n")
        except OSError as error:
            raise self._invalid(f"it cannot be written: {error.strerror}") from None

    def used(self, times: Mapping[str, datetime]) -> None:
        """Not noted: a server has no business to write into its own configuration."""

    def _invalid(self, what: str) -> ConfigError:
        return ConfigError("keys_invalid", f"--keys-file {self.path}: {what}")
