"""Runs the application under uvicorn until SIGTERM or Ctrl-C."""

import logging
import logging.config
import socket

import uvicorn

from pipeline.errors import ConfigError
from serving.app import create_app
from serving.logs import logging_config
from serving.protocol import patient_protocol
from serving.settings import ServeSettings

_LOGGER = logging.getLogger("fankui.serving")

_KEEP_ALIVE = 75  # seconds; longer than proxies keep idle connections, so that none is closed under their hands


def run(settings: ServeSettings) -> None:
    """Serve until told to stop. Raises what `create_app` raises, then ConfigError `address_unavailable`."""
    logging.config.dictConfig(logging_config())
    app = create_app(settings)
    listening = _listen(settings.host, settings.port)
    active = app.state.engine.active
    if not settings.loopback:
        _LOGGER.warning("open_to_others", extra={"fields": {"host": settings.host, "api_keys": False}})
    started = {
        "url": f"http://{settings.host}:{settings.port}",
        "model_version": active.version,
        "origin": active.resolved.origin,
    }
    _LOGGER.info("starting", extra={"fields": started})
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=patient_protocol(settings.read_timeout),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            # X-Forwarded-For is nobody's business here: no address is logged or decided on.
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=settings.shutdown_timeout,
        )
    )
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    # uvicorn would end the process with 3, which here says that a gate failed.
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise ConfigError(
            "address_unavailable", f"cannot listen on {host} port {port}: {why}; choose another with --port"
        ) from None
