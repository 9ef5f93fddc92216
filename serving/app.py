"""The HTTP application, put together: `create_app(settings)`. Run by `fankui serve` (serving/cli.py)."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from pipeline.errors import FeedbackError
from serving import health, routes
from serving.access import Access
from serving.body_limit import BodyLimit
from serving.classify import ClassifyFirst
from serving.engine import Engine, start_engine
from serving.envelope import DOCS_PATH, Envelope
from serving.follow import follow_champion
from serving.key_ring import KeyRing, check_reachable
from serving.openapi import API_VERSION, TITLE, describe
from serving.problems import answer_in_problems
from serving.rate_limits import RateLimits
from serving.scopes import Scopes
from serving.settings import ServeSettings
from serving.uploads import Uploads

if TYPE_CHECKING:
    from serving.keeping import Keeper
    from serving.page.board import Board


OPENAPI_PATH = "/openapi.json"

# FastAPI's own holds paths, queries and exceptions' messages, and a variable of the environment would send them away;
# what is traced here is in serving/otlp.py.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


class Application(FastAPI):
    """FastAPI inside our own layers: its own cost 20 µs a request, and classifying needs none of them."""

    settings: ServeSettings

    def build_middleware_stack(self) -> ASGIApp:
        inner = ClassifyFirst(super().build_middleware_stack())
        limited: ASGIApp = BodyLimit(inner, max_bytes=self.settings.max_body_bytes, timeout=self.settings.read_timeout)
        if self.settings.store is not None:
            limited = Uploads(limited, inner=inner, settings=self.settings)
        board: Board | None = self.state.board
        guarded = Access(
            limited,
            ring=self.state.ring,
            scopes=self.state.scopes,
            limits=self.state.limits,
            sessions=None if board is None else board.sessions,
        )
        envelope = Envelope(guarded, metrics=self.state.engine.metrics, known_hosts=self.settings.known_hosts)
        tracing = self.state.engine.tracing
        return envelope if tracing is None else tracing.wrap(envelope)


def create_app(settings: ServeSettings) -> FastAPI:
    """Load the model and build the application around it.

    Raises BundleError where the model cannot be chosen, opened or used, ConfigError for the routing policy
    or the store.
    """
    engine = start_engine(settings)
    keeper = _keeper(engine, settings)
    try:
        ring = open_ring(settings, keeper)
        board = _board(keeper, ring)
    except FeedbackError:
        if keeper is not None:
            keeper.threads.close()
        engine.close()
        raise
    app = Application(
        title=TITLE,
        version=API_VERSION,
        generate_unique_id_function=lambda route: route.name,  # the names that generated clients give their methods
        lifespan=_lifespan(follows=follows_champion(settings)),
        openapi_url=OPENAPI_PATH if settings.shows_docs else None,
        docs_url=DOCS_PATH if settings.shows_docs else None,
        swagger_ui_oauth2_redirect_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.settings = settings
    app.state.engine = engine
    app.state.ring = ring
    app.state.limits = RateLimits(None if settings.figures is None else settings.figures / "rates")
    app.state.keeper = keeper
    app.state.board = board
    routers = _routers(stored=keeper is not None)
    for router in routers:
        app.include_router(router)
    # Prometheus on this machine, or whoever can show a key.
    open_paths = {"/metrics"} if settings.loopback else set()
    if settings.shows_docs:
        open_paths |= {OPENAPI_PATH, DOCS_PATH}
    app.state.scopes = Scopes([route for router in routers for route in router.routes], open_paths=open_paths)
    answer_in_problems(app)
    describe(app, settings)
    return app


def _routers(*, stored: bool) -> list[APIRouter]:
    found = [routes.router, health.router]
    if stored:
        from serving import alert_routes, erasure_routes, feedback_routes, job_routes, original_routes
        from serving.page import login_routes
        from serving.page import routes as page_routes
        from serving.webhooks import routes as webhook_routes

        found += [feedback_routes.router, erasure_routes.router, original_routes.router, job_routes.router]
        found += [alert_routes.router, webhook_routes.router, page_routes.router, login_routes.router]
    return found


def follows_champion(settings: ServeSettings) -> bool:
    """Whether the champion pointer decides which model answers: nobody named one."""
    return settings.model is None and not os.environ.get("FANKUI_MODEL")


def _lifespan(*, follows: bool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine, keeper = app.state.engine, app.state.keeper
        ring = app.state.ring
        tasks = [asyncio.create_task(ring.run())]
        if follows:
            tasks.append(asyncio.create_task(follow_champion(engine)))
        if engine.shadow is not None:
            tasks.append(asyncio.create_task(engine.shadow.follow()))
        if keeper is not None:
            tasks += [asyncio.create_task(keeper.run_clock()), asyncio.create_task(keeper.run_retention())]
            tasks.append(asyncio.create_task(keeper.run_webhooks()))
            tasks.append(asyncio.create_task(keeper.run_jobs()))
            if keeper.watcher is not None:
                tasks.append(asyncio.create_task(keeper.watcher.run()))
        yield
        for task in tasks:
            task.cancel()
        if app.state.board is not None:
            app.state.board.close()
        await ring.close()
        app.state.limits.close()
        if keeper is not None:
            await keeper.close()
        engine.close()

    return lifespan


def _keeper(engine: Engine, settings: ServeSettings) -> "Keeper | None":
    """The store; SQLAlchemy takes 0.2 s to import, which a server without one is spared."""
    if settings.store is None:
        return None
    from serving.keeping import open_keeper

    return open_keeper(engine, settings)


def _board(keeper: "Keeper | None", ring: KeyRing) -> "Board | None":
    """The page, which shows what a store holds."""
    if keeper is None:
        return None
    from serving.page.board import open_board

    return open_board(keeper, ring)


def open_ring(settings: ServeSettings, keeper: "Keeper | None") -> KeyRing:
    """The API keys of the file or of the store. Raises ConfigError, also where strangers would need none."""
    if settings.no_keys:
        ring = KeyRing(None)
    elif settings.keys_file is not None:
        from serving.key_file import KeyFile

        ring = KeyRing(KeyFile(settings.keys_file), seconds=settings.key_seconds)
    elif keeper is not None:
        from serving.store.key_table import KeyTable

        threads = keeper.threads
        ring = KeyRing(KeyTable(threads.database), seconds=settings.key_seconds, threaded=threads.call)
    else:
        ring = KeyRing(None)
    check_reachable(ring, loopback=settings.loopback, no_keys=settings.no_keys)
    return ring
