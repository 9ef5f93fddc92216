"""Runs the application under uvicorn until SIGTERM or Ctrl-C."""

import gc
import logging
import logging.config
import os
import socket
import sys

import uvicorn
from fastapi import FastAPI

from serving.app import create_app
from serving.listening import listen
from serving.logs import logging_config, tell_start
from serving.protocol import patient_protocol
from serving.settings import ServeSettings

_LOGGER = logging.getLogger("fankui.serving")

_KEEP_ALIVE = 75  # seconds; longer than proxies keep idle connections, so that none is closed under their hands
_SWITCH = 0.001  # seconds that a thread keeps the interpreter from others; with Python's 5 ms a refusal may take 20


def run(settings: ServeSettings) -> None:
    """Serve until told to stop. Raises what `create_app` raises, then ConfigError `address_unavailable`."""
    logging.config.dictConfig(logging_config())
    app = create_app(settings)
    listening = listen(settings.host, settings.port)
    active = app.state.engine.active
    keys = app.state.ring.asked
    tell_start(settings, model_version=active.version, origin=active.resolved.origin, api_keys=keys)
    answer_requests(app, listening, settings)


def answer_requests(app: FastAPI, listening: socket.socket, settings: ServeSettings) -> None:
    """Answer what comes in on a socket until the process is told to end."""
    sys.setswitchinterval(_SWITCH)
    # What was loaded stays: looking through it for garbage took 20 to 30 ms, in the middle of somebody's request.
    gc.collect()
    gc.freeze()
    server = _Server(
        uvicorn.Config(
            app,
            http=patient_protocol(settings.read_timeout),
            # Named, so that a missing one is an error and not a server at half the speed.
            loop="asyncio" if sys.platform == "win32" else "uvloop",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            # X-Forwarded-For is nobody's business here: no address is logged or decided on.
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=settings.shutdown_timeout,
        ),
        app,
    )
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends the streams of those who watch the page, which last until somebody does, before it waits for requests."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._application = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        told = {"fields": {"process": os.getpid()}}
        _LOGGER.info("stopping", extra=told)
        if self._application.state.board is not None:
            self._application.state.board.feed.close()
        await super().shutdown(sockets)
        _LOGGER.info("stopped", extra=told)
