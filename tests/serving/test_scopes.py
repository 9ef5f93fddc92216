"""Which scope opens what; no route is forgotten."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from serving.page import login_routes
from serving.page import routes as page_routes
from serving.scopes import ANY, NEEDED, OPEN, PAGE, Scopes


def test_every_line_is_a_route_and_every_route_has_a_line(make_app: Callable[..., FastAPI], tmp_path: Path) -> None:
    app = make_app(store=str(tmp_path / "store.db"))
    document = app.openapi()
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert routes == set(NEEDED)
    for line, needed in NEEDED.items():
        method, _, path = line.partition(" ")
        security = document["paths"][path][method.lower()].get("security", [])
        assert security == ([{"bearer": sorted(needed)}, {"key": sorted(needed)}] if needed else [])


def test_every_line_of_the_page_is_a_route_of_its_own() -> None:
    routes: list[Any] = [*page_routes.router.routes, *login_routes.router.routes]
    assert {f"{method} {route.path}" for route in routes for method in route.methods} == set(PAGE)
    assert set(PAGE) & set(NEEDED) == set()
    assert {line for line, needed in PAGE.items() if not needed} == {
        "GET /dashboard/login", "POST /dashboard/login", "GET /dashboard/static/{version}/{name}"
    }  # fmt: skip


def test_a_route_without_a_line_does_not_start() -> None:
    router = APIRouter()

    @router.get("/v1/secrets")
    def secrets() -> None: ...

    with pytest.raises(ValueError, match=r"^the route GET /v1/secrets has no line in serving/scopes\.py$"):
        Scopes(router.routes, open_paths=set())


def test_requests_are_matched_as_the_router_does(make_app: Callable[..., FastAPI], tmp_path: Path) -> None:
    scopes = make_app(store=str(tmp_path / "store.db")).state.scopes
    assert scopes.needed("GET", "/v1/feedback/工单-7") == {"read"}
    assert scopes.needed("POST", "/v1/feedback/a/status") == {"write"}
    assert scopes.needed("GET", "/metrics") is OPEN  # on the loopback
    for path, needed in (("/v1/feedback", "read"), ("/v1/export", "read"), ("/v1/feedback/a/original", "admin")):
        assert scopes.needed("GET", f"{path}\n") == {needed}
    for method, path in (("GET", "/v1/feedback/a/b"), ("PUT", "/v1/classify"), ("GET", "/v1/feedback/"), ("GET", "/")):
        assert scopes.needed(method, path) == ANY
