"""An application around the small linear bundle, a client that talks to it without a network, and API keys."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from serving.api_keys import new_key
from serving.app import create_app
from serving.key_file import KeyFile
from serving.settings import ServeSettings


@pytest.fixture
def make_app(linear_bundle: Path) -> Iterator[Callable[..., FastAPI]]:
    """`make_app(max_items=4)`: an application with those settings."""
    made: list[FastAPI] = []

    def make(**settings: Any) -> FastAPI:
        made.append(create_app(ServeSettings(**{"model": str(linear_bundle), **settings})))
        return made[-1]

    yield make
    for app in made:
        app.state.engine.close()
        if app.state.keeper is not None:
            app.state.keeper.threads.close()


@pytest.fixture
def make_client(make_app: Callable[..., FastAPI]) -> Callable[..., TestClient]:
    """`make_client(max_items=4)`: a client of such an application; it raises what the application lets through."""
    return lambda **settings: TestClient(make_app(**settings), base_url="http://127.0.0.1")


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    return make_client()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Where `make_key` puts keys."""
    return tmp_path / "keys.json"


@pytest.fixture
def make_key(keys_file: Path) -> Callable[..., str]:
    """`make_key("score", "read", rate=60)`: the string of a new key of the file."""

    def make(*scopes: str, name: str = "shop", **changes: Any) -> str:
        key, shown = new_key(name, scopes, now=datetime.now(UTC), **changes)
        KeyFile(keys_file, must_exist=False).put(key)
        return shown

    return make
