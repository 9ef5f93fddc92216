"""The HTTP application, put together: `create_app(settings)`. Run by `fankui serve` (serving/cli.py)."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.types import ASGIApp

from serving import health, routes
from serving.body_limit import BodyLimit
from serving.classify import ClassifyFirst
from serving.engine import Engine, start_engine
from serving.envelope import DOCS_PATH, Envelope
from serving.follow import follow_champion
from serving.openapi import API_VERSION, TITLE, describe
from serving.problems import answer_in_problems
from serving.settings import ServeSettings

if TYPE_CHECKING:
    from serving.keeping import Keeper


class Application(FastAPI):
    """FastAPI inside our own layers: its own cost 20 µs a request, and classifying needs none of them."""

    settings: ServeSettings

    def build_middleware_stack(self) -> ASGIApp:
        limited = BodyLimit(
            ClassifyFirst(super().build_middleware_stack()),
            max_bytes=self.settings.max_body_bytes,
            timeout=self.settings.read_timeout,
        )
        return Envelope(limited, metrics=self.state.engine.metrics, known_hosts=self.settings.known_hosts)


def create_app(settings: ServeSettings) -> FastAPI:
    """Load the model and build the application around it.

    Raises BundleError where the model cannot be chosen, opened or used, ConfigError for the routing policy
    or the store.
    """
    engine = start_engine(settings)
    keeper = _keeper(engine, settings)
    app = Application(
        title=TITLE,
        version=API_VERSION,
        generate_unique_id_function=lambda route: route.name,  # the names that generated clients give their methods
        lifespan=_lifespan(follows=follows_champion(settings)),
        # The documentation tells strangers what to try.
        openapi_url="/openapi.json" if settings.loopback else None,
        docs_url=DOCS_PATH if settings.loopback else None,
        swagger_ui_oauth2_redirect_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.settings = settings
    app.state.engine = engine
    app.include_router(routes.router)
    app.include_router(health.router)
    app.state.keeper = keeper
    if keeper is not None:
        from serving import feedback_routes

        app.include_router(feedback_routes.router)
    answer_in_problems(app)
    describe(app, settings)
    return app


def follows_champion(settings: ServeSettings) -> bool:
    """Whether the champion pointer decides which model answers: nobody named one."""
    return settings.model is None and not os.environ.get("FANKUI_MODEL")


def _lifespan(*, follows: bool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine, keeper = app.state.engine, app.state.keeper
        tasks = [asyncio.create_task(follow_champion(engine))] if follows else []
        if keeper is not None:
            tasks.append(asyncio.create_task(keeper.run_clock()))
        yield
        for task in tasks:
            task.cancel()
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
