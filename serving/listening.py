"""The address that the server listens on: taken once by one process, or shared by several workers."""

import socket

from pipeline.errors import ConfigError


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that takes connections; `shared` with others that say so too, among which the kernel spreads them.

    Raises ConfigError `address_unavailable`.
    """
    try:
        return socket.create_server((host, port), family=_family(host), reuse_port=shared)
    except OSError as error:
        raise _unavailable(host, port, error) from None


def reserve(host: str, port: int) -> socket.socket:
    """A socket that holds the address for workers without taking connections itself.

    Raises ConfigError `address_unavailable` where another server listens there already, sharing or not;
    `workers_unsupported` where the system cannot share an address.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("workers_unsupported", "this system cannot share a port between processes; use --workers 1")
    listen(host, port).close()
    held = socket.socket(_family(host), socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        held.close()
        raise _unavailable(host, port, error) from None
    return held


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _unavailable(host: str, port: int, error: OSError) -> ConfigError:
    # uvicorn would end the process with 3, which here says that a gate failed.
    why = (error.strerror or str(error)).partition(" (")[0]
    return ConfigError("address_unavailable", f"cannot listen on {host} port {port}: {why}; choose another with --port")
